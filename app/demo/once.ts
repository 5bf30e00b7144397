import { ClientMemory, DemoClient } from './client.ts';
import { Person } from './person.ts';

/** How one step of the walk went. */
export interface StepReport {
  readonly step: string;
  readonly detail: string;
  readonly tookMs: number;
}

/** The step that failed, by name, with its cause. */
export class StepFailure extends Error {
  override readonly name = 'StepFailure';
  readonly step: string;

  constructor(step: string, cause: unknown) {
    super(`${step}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.step = step;
  }
}

export interface WalkOptions {
  readonly mcpUrl: string;
  readonly login: string;
  readonly password: string;
  readonly nowMs: () => number;
  readonly report: (step: StepReport) => void;
}

/**
 * Plays an MCP client that knows only the address of `/mcp`, and its person: registers, consents,
 * signs in, lists tools, calls one, refreshes, revokes. Throws `StepFailure` at the first fault.
 */
export async function walkOnce(options: WalkOptions): Promise<void> {
  const client = new DemoClient(options.mcpUrl, new ClientMemory('Demo client'));
  const person = new Person({ login: options.login, password: options.password });
  const step = async <T>(name: string, run: () => Promise<{ detail: string; value: T }>) => {
    const startedAt = options.nowMs();
    try {
      const { detail, value } = await run();
      options.report({ step: name, detail, tookMs: options.nowMs() - startedAt });
      return value;
    } catch (cause) {
      throw new StepFailure(name, cause);
    }
  };

  await step('challenge', () => challenge(options.mcpUrl));
  const authorizationUrl = await step('discover and register', async () => {
    const value = await client.startAuthorization();
    return { detail: `client ${client.memory.information?.client_id ?? '?'}`, value };
  });
  const redirected = await step('consent and sign in', async () => {
    const value = await person.authorize(authorizationUrl, client.memory.redirectUrl);
    return { detail: `${options.login}, back at ${value.origin}${value.pathname}`, value };
  });
  await step('exchange the code', async () => {
    await client.finishAuthorization(redirected);
    return { detail: `scope ${client.memory.current?.scope ?? '?'}`, value: undefined };
  });
  await step('open a session', async () => {
    const sdk = await client.connect();
    return { detail: `server ${sdk.getServerVersion()?.name ?? '?'}`, value: undefined };
  });
  const tool = await step('list tools', () => listTools(client));
  await step('call a tool', () => callTool(client, tool));
  await step('refresh', async () => {
    await client.refresh();
    return { detail: 'new access token, new refresh token', value: undefined };
  });
  await step('call it again', () => callTool(client, tool));
  await step('revoke', () => revoke(client));
  await step('be refused', () => expectRefusal(client));
  await client.client.close();
}

async function challenge(mcpUrl: string) {
  const answer = await fetch(mcpUrl, { method: 'POST' });
  await answer.body?.cancel();
  const header = answer.headers.get('www-authenticate') ?? '';
  if (answer.status !== 401 || !header.includes('resource_metadata=')) {
    throw new Error(`expected 401 with resource_metadata, got ${answer.status}`);
  }
  return { detail: `401 with resource_metadata`, value: undefined };
}

/** Prefers a tool that asks the forge who the person is: it proves whose token the child has. */
async function listTools(client: DemoClient) {
  const { tools } = await client.client.listTools();
  const tool = tools.find(({ name }) => name === 'get_my_user_info') ?? tools[0];
  if (tool === undefined) throw new Error('the child offers no tools');
  return { detail: `${tools.length} tools`, value: tool.name };
}

async function callTool(client: DemoClient, name: string) {
  const result = await client.client.callTool({ name, arguments: {} });
  const content = Array.isArray(result.content) ? result.content : [];
  const text = content.map((part) => ('text' in part ? String(part.text) : '')).join(' ');
  if (result.isError === true) throw new Error(`${name} answered an error: ${text}`);
  return { detail: `${name}: ${text.replaceAll(/\s+/g, ' ').slice(0, 80)}`, value: undefined };
}

/** RFC 7009 section 2.1: the client gives its refresh token back, which ends the grant. */
async function revoke(client: DemoClient) {
  const issuer = client.mcpUrl.origin;
  const metadata = await fetch(`${issuer}/.well-known/oauth-authorization-server`);
  const endpoint = String(((await metadata.json()) as Record<string, unknown>).revocation_endpoint);
  const answer = await fetch(endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      token: client.memory.current?.refresh_token ?? '',
      token_type_hint: 'refresh_token',
      client_id: client.memory.information?.client_id ?? '',
    }),
  });
  await answer.body?.cancel();
  if (answer.status !== 200) throw new Error(`revocation answered ${answer.status}`);
  return { detail: 'the grant has ended', value: undefined };
}

async function expectRefusal(client: DemoClient) {
  const answer = await fetch(client.mcpUrl, {
    method: 'POST',
    headers: { authorization: `Bearer ${client.memory.current?.access_token ?? ''}` },
  });
  await answer.body?.cancel();
  if (answer.status !== 401) throw new Error(`a revoked token was answered with ${answer.status}`);
  return { detail: '401 for the revoked token', value: undefined };
}
