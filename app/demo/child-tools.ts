import { err, ok, type Result } from '../base/result.ts';

/** Asks the forge's API as the person whose token the child holds. */
export type ForgeApi = (
  method: 'GET' | 'POST',
  path: string,
  body?: Readonly<Record<string, string>>,
) => Promise<unknown>;

export interface ToolResult {
  readonly content: readonly { readonly type: 'text'; readonly text: string }[];
}

type Arguments = Readonly<Record<string, unknown>>;

interface Tool {
  readonly description: string;
  readonly properties: Readonly<Record<string, { readonly type: 'string' | 'number' }>>;
  readonly required: readonly string[];
  readonly run: (api: ForgeApi, args: Arguments) => Promise<unknown>;
}

/** What the tool and `initialize` say. */
export const CHILD_VERSION = '2.34.1-demo';
const TEXT = { type: 'string' } as const;
const NUMBER = { type: 'number' } as const;

/** A few of forgejo-mcp's tools, with its names and arguments. */
const TOOLS: Readonly<Record<string, Tool>> = {
  get_forgejo_mcp_server_version: {
    description: 'Get the version of this server',
    properties: {},
    required: [],
    run: async () => `Forgejo MCP Server version: ${CHILD_VERSION}`,
  },
  get_my_user_info: {
    description: 'Get the user that the token belongs to',
    properties: {},
    required: [],
    run: (api) => api('GET', '/user'),
  },
  list_my_repos: {
    description: 'List the repositories of the user',
    properties: { page: NUMBER, limit: NUMBER },
    required: ['page', 'limit'],
    run: (api, { page, limit }) => api('GET', `/user/repos?${query({ page, limit })}`),
  },
  list_repo_issues: {
    description: 'List the issues of a repository',
    properties: { owner: TEXT, repo: TEXT, state: TEXT, page: NUMBER, limit: NUMBER },
    required: ['owner', 'repo'],
    run: (api, args) => {
      const { state, page, limit } = args;
      return api('GET', `${repoPath(args)}/issues?${query({ state, page, limit })}`);
    },
  },
  create_issue: {
    description: 'Create an issue in a repository',
    properties: { owner: TEXT, repo: TEXT, title: TEXT, body: TEXT },
    required: ['owner', 'repo', 'title'],
    run: (api, args) =>
      api('POST', `${repoPath(args)}/issues`, {
        title: String(args.title),
        body: String(args.body ?? ''),
      }),
  },
};

/** The `tools/list` result; every tool with the same annotations, as forgejo-mcp has them. */
export function listTools(): unknown {
  const annotations = {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: true,
  };
  const tools = Object.entries(TOOLS).map(([name, { description, properties, required }]) => ({
    name,
    description,
    inputSchema: { type: 'object', properties, required },
    annotations,
  }));
  return { tools };
}

/**
 * Runs a tool; undefined when there is none of that name. What fails is a sentence for a JSON-RPC
 * error: forgejo-mcp has no results that are errors.
 */
export async function callTool(
  api: ForgeApi,
  name: string,
  args: Arguments,
): Promise<Result<ToolResult, string> | undefined> {
  const tool = Object.hasOwn(TOOLS, name) ? TOOLS[name] : undefined;
  if (tool === undefined) return undefined;
  const missing = tool.required.filter((argument) => args[argument] === undefined);
  if (missing.length > 0) return err(`missing arguments: ${missing.join(', ')}`);
  try {
    const text = JSON.stringify({ Result: await tool.run(api, args) });
    return ok({ content: [{ type: 'text', text }] });
  } catch (error) {
    return err(error instanceof Error ? error.message : 'the tool failed');
  }
}

function repoPath({ owner, repo }: Arguments): string {
  return `/repos/${encodeURIComponent(String(owner))}/${encodeURIComponent(String(repo))}`;
}

function query(values: Arguments): URLSearchParams {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
}
