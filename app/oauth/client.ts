import { digestOf, sameDigest } from '../base/secret.ts';
import type { Client, Clients } from '../store/clients.ts';
import { OAuthError } from './errors.ts';
import type { Parameters } from './parameters.ts';

/** The ways that a client may prove who it is (RFC 7591 section 2). */
export const CLIENT_AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const;

declare const authenticated: unique symbol;

/** A client that has proven who it is, as far as its kind can: what every grant handler takes. */
export type AuthenticatedClient = Client & { readonly [authenticated]: true };

type Credentials =
  | { readonly kind: 'none'; readonly id: string }
  | {
      readonly kind: 'client_secret_basic' | 'client_secret_post';
      readonly id: string;
      readonly secret: string;
    };

/**
 * Client authentication (RFC 6749 sections 2.3 and 3.2.1), the way the client registered; a static
 * client may send its secret either way. Throws `OAuthError`: invalid_client, with a challenge when
 * the Authorization header was tried, or invalid_request for two ways at once.
 */
export async function authenticateClient(
  request: Request,
  form: Parameters,
  clients: Pick<Clients, 'find' | 'used'>,
): Promise<AuthenticatedClient> {
  const header = request.headers.get('authorization');
  const credentials = header === null ? formCredentials(form) : basicCredentials(header, form);
  const client = await clients.find(credentials.id);
  if (client === undefined) throw refuse(header, 'the client is unknown');
  if (credentials.kind === 'none') {
    if (client.authMethod !== 'none') throw refuse(header, 'the client sent no secret');
  } else {
    if (!mayAuthenticate(client, credentials.kind)) {
      throw refuse(header, `the client did not register ${credentials.kind}`);
    }
    if (!holdsSecret(client, credentials.secret)) throw refuse(header, 'the secret is wrong');
  }
  clients.used(client.id);
  return client as AuthenticatedClient;
}

function mayAuthenticate(client: Client, method: Credentials['kind']): boolean {
  if (client.kind === 'static') return client.authMethod !== 'none';
  return client.authMethod === method;
}

function holdsSecret(client: Client, secret: string): boolean {
  return client.secretDigest !== null && sameDigest(client.secretDigest, digestOf(secret));
}

function formCredentials(form: Parameters): Credentials {
  const id = form.get('client_id');
  const secret = form.get('client_secret');
  if (id === undefined) throw refuse(null, 'the request names no client');
  return secret === undefined ? { kind: 'none', id } : { kind: 'client_secret_post', id, secret };
}

/** RFC 6749 section 2.3.1: both halves are form-encoded before they are joined and encoded. */
function basicCredentials(header: string, form: Parameters): Credentials {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1];
  if (encoded === undefined) throw refuse(header, 'the Authorization header is not Basic');
  if (form.get('client_secret') !== undefined) {
    throw new OAuthError('invalid_request', 'a client proves itself in one way only');
  }
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon === -1) throw refuse(header, 'the Basic credentials have no colon');
  const id = formDecode(pair.slice(0, colon));
  const secret = formDecode(pair.slice(colon + 1));
  if (id === undefined || secret === undefined) {
    throw refuse(header, 'the Basic credentials are not form-encoded');
  }
  const named = form.get('client_id');
  if (named !== undefined && named !== id) {
    throw new OAuthError('invalid_request', 'client_id names another client than the header');
  }
  return { kind: 'client_secret_basic', id, secret };
}

function formDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** RFC 6749 section 5.2: 401, and the challenge of the scheme that was tried. */
function refuse(header: string | null, reason: string): OAuthError {
  const headers = header === null ? {} : { 'www-authenticate': 'Basic realm="fjmcp-broker"' };
  return new OAuthError('invalid_client', 'client authentication failed', { reason, headers });
}
