import type { StaticClientConfig } from '../config.ts';
import { each, hasControl } from './parse.ts';
import { STATIC_CLIENTS_KEY } from './sources.ts';
import { staticRedirect } from './urls.ts';

const REDIRECTS_MAX = 10;
const NAME_MAX = 100;
const MEMBERS = new Set(['id', 'name', 'redirect_uris', 'secret_sha256']);

/**
 * The `[[static_clients]]` tables of the file: `id`, `redirect_uris`, and optionally `name` and
 * `secret_sha256`. Each fault names the client and the member.
 */
export function readStaticClients(raw: unknown): {
  readonly clients: readonly StaticClientConfig[];
  readonly faults: readonly string[];
} {
  if (raw === undefined) return { clients: [], faults: [] };
  if (!Array.isArray(raw)) {
    return { clients: [], faults: [`${STATIC_CLIENTS_KEY}: must be tables: [[static_clients]]`] };
  }
  const clients: StaticClientConfig[] = [];
  const faults: string[] = [];
  for (const [index, table] of raw.entries()) {
    const tell = (reason: string) => faults.push(`${STATIC_CLIENTS_KEY}[${index}]: ${reason}`);
    const client = readClient(table, tell);
    if (client === undefined) continue;
    if (clients.some(({ id }) => id === client.id)) tell(`the id "${client.id}" stands twice`);
    clients.push(client);
  }
  return { clients, faults };
}

function readClient(
  table: unknown,
  tell: (reason: string) => void,
): StaticClientConfig | undefined {
  if (typeof table !== 'object' || table === null || Array.isArray(table)) {
    tell('must be a table');
    return undefined;
  }
  const members = table as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(members)) if (!MEMBERS.has(key)) tell(`${key}: no such member`);
  const id = readId(members.id, tell);
  const redirectUris = readRedirects(members.redirect_uris, tell);
  const name = readName(members.name ?? id, tell);
  const secretSha256 = readDigest(members.secret_sha256, tell);
  if (id === undefined || redirectUris === undefined) return undefined;
  if (name === undefined || secretSha256 === undefined) return undefined;
  return { id, name, redirectUris, secretSha256 };
}

/** RFC 6749 appendix A.1; an https URL is left to client-id documents (spec rule R7). */
function readId(value: unknown, tell: (reason: string) => void): string | undefined {
  if (typeof value === 'string' && /^[\x21-\x7e]{1,100}$/.test(value)) {
    if (!/^https?:/i.test(value)) return value;
  }
  tell('id: must be 1 to 100 printable characters without spaces, and no web address');
  return undefined;
}

function readName(value: unknown, tell: (reason: string) => void): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.trim() !== '' && value.length <= NAME_MAX) {
    if (!hasControl(value)) return value;
  }
  tell(`name: must be a text of 1 to ${NAME_MAX} characters`);
  return undefined;
}

function readRedirects(
  value: unknown,
  tell: (reason: string) => void,
): readonly string[] | undefined {
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'string');
  if (!isList || value.length === 0 || value.length > REDIRECTS_MAX) {
    tell(`redirect_uris: must be an array of 1 to ${REDIRECTS_MAX} texts`);
    return undefined;
  }
  const outcome = each(value, staticRedirect);
  if (outcome.ok) return outcome.value;
  tell(`redirect_uris: ${outcome.reason}`);
  return undefined;
}

/** Hex as `sha256sum` prints it, or base64; the store keeps base64url without padding. */
function readDigest(value: unknown, tell: (reason: string) => void): string | null | undefined {
  if (value === undefined) return null;
  if (typeof value === 'string') {
    if (/^[0-9a-fA-F]{64}$/.test(value)) return Buffer.from(value, 'hex').toString('base64url');
    if (/^[A-Za-z0-9+/_-]{43}=?$/.test(value)) {
      return Buffer.from(value, 'base64').toString('base64url');
    }
  }
  tell('secret_sha256: must be the SHA-256 of the secret, in hex or base64');
  return undefined;
}
