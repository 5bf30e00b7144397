import { parseArgs } from 'node:util';
import { errorText, type Message, parseMessage, RPC_ERROR, resultText } from '../base/message.ts';
import { CHILD_VERSION, callTool, type ForgeApi, listTools } from './child-tools.ts';

/** A small stdio MCP server that behaves towards its parent as forgejo-mcp does. */
const VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const RESOURCE_NOT_FOUND = -32002;
const API_TIMEOUT_MS = 30_000;

type Request = Extract<Message, { kind: 'request' }>;

if (import.meta.main) process.exit(await serveOnStdio(process.argv.slice(2)));

/** Serves until the end of stdin; returns the exit code: 0, or 1 when it could not begin. */
export async function serveOnStdio(argv: readonly string[]): Promise<0 | 1> {
  const { values } = parseArgs({
    args: [...argv],
    options: { transport: { type: 'string' }, url: { type: 'string' } },
  });
  const url = values.url ?? process.env.FORGEJO_URL;
  const token = process.env.FORGEJO_ACCESS_TOKEN;
  if (url === undefined || token === undefined) {
    logLine(31, 'ERROR', 'a forge and a token are needed');
    return 1;
  }
  const api = forgeApi(url, token);
  try {
    // Twice, as forgejo-mcp does: for its client and for its own check.
    await api('GET', '/version');
    await api('GET', '/version');
  } catch {
    logLine(31, 'ERROR', 'the forge cannot be reached');
    return 1;
  }
  logLine(32, 'INFO', 'ready on stdio');
  // Its answers are not waited for at the end of stdin: forgejo-mcp leaves within milliseconds.
  for await (const line of stdinLines()) void serve(api, line);
  return 0;
}

async function serve(api: ForgeApi, line: string): Promise<void> {
  const parsed = parseMessage(line);
  if (!parsed.ok) {
    process.stdout.write(`${errorText(null, RPC_ERROR.parseError, 'Parse error')}\n`);
  } else if (parsed.value.kind === 'request') {
    // Each answer leaves when it is there, so answers overtake each other.
    process.stdout.write(`${await answer(api, parsed.value)}\n`);
  }
}

async function answer(api: ForgeApi, request: Request): Promise<string> {
  const { id, method } = request;
  const params = (request.params ?? {}) as Readonly<Record<string, unknown>>;
  switch (method) {
    case 'initialize':
      return resultText(id, initializeResult(params.protocolVersion));
    case 'ping':
    case 'logging/setLevel':
      return resultText(id, {});
    case 'tools/list':
      return resultText(id, listTools());
    case 'resources/list':
      return resultText(id, { resources: [] });
    case 'resources/templates/list':
      return resultText(id, { resourceTemplates: [] });
    case 'resources/read':
      return errorText(id, RESOURCE_NOT_FOUND, 'resource not found');
    case 'prompts/list':
      return errorText(id, RPC_ERROR.methodNotFound, 'prompts not supported');
    case 'tools/call': {
      const name = String(params.name);
      const args = (params.arguments ?? {}) as Readonly<Record<string, unknown>>;
      const result = await callTool(api, name, args);
      if (result === undefined) {
        return errorText(id, RPC_ERROR.invalidParams, `tool '${name}' not found: tool not found`);
      }
      if (!result.ok) return errorText(id, RPC_ERROR.internalError, result.error);
      return resultText(id, result.value);
    }
    default:
      return errorText(id, RPC_ERROR.methodNotFound, `Method ${method} not found`);
  }
}

function initializeResult(asked: unknown): unknown {
  return {
    protocolVersion: VERSIONS.find((version) => version === asked) ?? VERSIONS.at(-1),
    capabilities: { logging: {}, resources: {}, tools: { listChanged: true } },
    serverInfo: { name: 'Forgejo MCP Server', version: CHILD_VERSION },
  };
}

function forgeApi(url: string, token: string): ForgeApi {
  const userAgent = process.env.FORGEJO_USER_AGENT ?? 'forgejo-mcp';
  return async (method, path, body) => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `token ${token}`,
        'user-agent': userAgent,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(API_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`the forge answered ${response.status} to ${method} ${path}`);
    return response.json();
  };
}

/** stdin as lines; characters that a chunk splits are kept together. */
async function* stdinLines(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of Bun.stdin.stream()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line.trim() !== '');
  }
}

/** forgejo-mcp colours its log even when nobody looks. */
function logLine(colour: number, level: string, text: string): void {
  process.stderr.write(`\x1b[${colour}m${level}\x1b[0m ${text}\n`);
}
