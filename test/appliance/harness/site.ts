import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ClientMemory, DemoClient } from '../../../app/demo/client.ts';
import { type HttpFetch, Person } from '../../../app/demo/person.ts';
import type { Outcome } from './command.ts';
import type { Machine } from './machine.ts';
import { NAMES } from './network.ts';
import { FORGEJO_MCP_FOLDER, type Release } from './releases.ts';
import type { Workshop } from './workshop.ts';

/** Where Debian's Caddy keeps the certificate of its own authority. */
const CADDY_ROOT = '/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt';

export const ORIGIN = `https://${NAMES.broker}`;
export const MCP_URL = `${ORIGIN}/mcp`;

/** The answers that the installer needs, as its documentation names them. */
export function answersFor(workshop: Workshop, release: Release): Record<string, string> {
  const { downloads, forge } = workshop.internet;
  return {
    FJMCP_PUBLIC_URL: ORIGIN,
    FJMCP_FORGEJO_URL: forge,
    FJMCP_FORGEJO_CLIENT_ID: workshop.forgeClient.id,
    FJMCP_FORGEJO_CLIENT_SECRET: workshop.forgeClient.secret,
    FJMCP_INSTALL_BASE_URL: `${downloads}/${release}`,
    FJMCP_INSTALL_FORGEJO_MCP_BASE_URL: `${downloads}/${FORGEJO_MCP_FOLDER}`,
    FJMCP_INSTALL_TLS: 'internal',
    FJMCP_INSTALL_YES: '1',
  };
}

type Folder = Release | typeof FORGEJO_MCP_FOLDER;

/**
 * Offers releases, or the folder of forgejo-mcp, at the downloads' address: each below its own name,
 * or `at` another path there.
 */
export function publish(
  workshop: Workshop,
  ...folders: (Folder | { readonly release: Release; readonly at: string })[]
): void {
  for (const folder of folders) {
    const { release, at } = typeof folder === 'string' ? { release: folder, at: folder } : folder;
    const target = join(workshop.downloads, at);
    mkdirSync(target, { recursive: true });
    cpSync(join(workshop.prepared.releases, release), target, { recursive: true });
  }
}

/** The one command, as a person types it who has put the answers into the environment. */
export function installByPipe(
  machine: Machine,
  workshop: Workshop,
  release: Release,
  options: { readonly env?: Readonly<Record<string, string>>; readonly flags?: string } = {},
): Promise<Outcome> {
  const { downloads } = workshop.internet;
  const flags = options.flags === undefined ? '' : ` -s -- ${options.flags}`;
  return machine.shell(`curl -fsSL ${downloads}/${release}/install.sh | sh${flags}`, {
    env: options.env ?? answersFor(workshop, release),
  });
}

/** How the outside talks to the machine: by its public name, trusting these authorities alone. */
export async function outsideFetch(machine: Machine, workshop: Workshop): Promise<HttpFetch> {
  const caddy = await machine.must(`cat ${CADDY_ROOT}`);
  const ca = [caddy, workshop.certificates.authority];
  return (input, init) => fetch(input, { ...init, tls: { ca } });
}

/** The official client outside of the machine, and its person. */
export function outsideClient(httpFetch: HttpFetch, name = 'Outside client') {
  const client = new DemoClient(MCP_URL, new ClientMemory(name), httpFetch);
  const person = (login = 'alice', password = 'wonderland') =>
    new Person({ login, password, fetch: httpFetch });
  return { client, person };
}

/** A machine on which this checkout's release is installed and runs. */
export async function installed(
  workshop: Workshop,
  name: string,
  options: { readonly flags?: string } = {},
): Promise<Machine> {
  const machine = await workshop.machine(name);
  publish(workshop, 'current', FORGEJO_MCP_FOLDER);
  const { code, stdout, stderr } = await installByPipe(machine, workshop, 'current', options);
  if (code !== 0) throw new Error(`the installer ended with ${code}\n${stdout}\n${stderr}`);
  return machine;
}

/** A client that a person has signed in, in a session. */
export async function connected(httpFetch: HttpFetch, login: 'alice' | 'bob'): Promise<DemoClient> {
  const { client, person } = outsideClient(httpFetch);
  await client.authorize(login === 'alice' ? person() : person('bob', 'workshop'));
  await client.connect();
  return client;
}

/** What the forge says about the person whose token the session's child has. */
export async function whoami({ client }: DemoClient): Promise<string> {
  const { content } = await client.callTool({ name: 'get_my_user_info', arguments: {} });
  return JSON.stringify(content);
}
