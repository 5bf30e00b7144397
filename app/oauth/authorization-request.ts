import { type RedirectTarget, redirectTarget } from '../base/redirect-target.ts';
import type { Client, Clients } from '../store/clients.ts';
import { largestScope, type Scope } from '../tools/scopes.ts';
import { OAuthError } from './errors.ts';
import type { Parameters } from './parameters.ts';
import { isCodeChallenge } from './pkce.ts';
import { ProblemError } from './problems.ts';
import { describeRefused, redirectUriMatches } from './redirect-uri.ts';
import { targetResource } from './resource.ts';

/** Characters of the client's `state`; it is kept for every login on its way. */
export const STATE_LENGTH_MAX = 4096;

/** A client and a redirect URI of its own: only from here on may anything be redirected. */
export interface KnownRedirect {
  readonly client: Client;
  readonly redirectUri: string;
  readonly target: RedirectTarget;
  /** What the client itself sent; empty when it left the parameter out. */
  readonly requestedRedirectUri: string;
}

/** A request that is sound in every part (RFC 6749 section 4.1.1). */
export interface SoundRequest extends KnownRedirect {
  readonly codeChallenge: string;
  readonly state: string | null;
  /** The largest scope that the client names; undefined when it names none of ours. */
  readonly asked: Scope | undefined;
  readonly resource: string;
}

/**
 * First half: who asks, and where the answer would go. Throws `ProblemError`: until both are known,
 * a redirect would send people wherever a stranger's link says (RFC 6749 section 4.1.2.1).
 */
export async function identifyRedirect(
  parameters: Parameters,
  o: {
    readonly clients: Pick<Clients, 'find'>;
    readonly redirectAllowlist: () => readonly string[];
  },
): Promise<KnownRedirect> {
  const clientId = onlyForPages(() => parameters.get('client_id'));
  if (clientId === undefined) throw new ProblemError({ kind: 'link_incomplete' });
  const client = await o.clients.find(clientId);
  if (client === undefined) throw new ProblemError({ kind: 'client_unknown' });
  const requested = onlyForPages(() => parameters.get('redirect_uri')) ?? '';
  const known = knownRedirect(client, requested, o.redirectAllowlist());
  if (known === undefined) {
    const detail = `client ${client.id} asked for ${describeRefused(requested)}`;
    throw new ProblemError({ kind: 'redirect_uri_unknown' }, detail);
  }
  return known;
}

/**
 * The redirect URI that a request means: the one it names when it is registered, or, when it names
 * none, the only one there is (RFC 6749 section 3.1.2.3). A private-use URI that the administrator
 * no longer allows is unknown, whoever has registered it.
 */
export function knownRedirect(
  client: Client,
  requested: string,
  redirectAllowlist: readonly string[],
): KnownRedirect | undefined {
  const [only = ''] = client.redirectUris.length === 1 ? client.redirectUris : [];
  const redirectUri = requested === '' ? only : requested;
  if (!redirectUriMatches(redirectUri, client.redirectUris)) return undefined;
  const allowlist = client.kind === 'static' ? client.redirectUris : redirectAllowlist;
  const target = redirectTarget(redirectUri, allowlist);
  if (target === undefined) return undefined;
  return { client, redirectUri, target, requestedRedirectUri: requested };
}

/** Second half: everything else. Throws `OAuthError`, which the client hears of by redirect. */
export function checkRequest(
  parameters: Parameters,
  known: KnownRedirect,
  publicOrigin: string,
): SoundRequest {
  const state = parameters.get('state') ?? null;
  if (state !== null && state.length > STATE_LENGTH_MAX) {
    throw new OAuthError('invalid_request', 'the parameter state is too long');
  }
  if (parameters.require('response_type') !== 'code') {
    throw new OAuthError('unsupported_response_type', 'the only response type is code');
  }
  if ((parameters.get('response_mode') ?? 'query') !== 'query') {
    throw new OAuthError('invalid_request', 'the only response mode is query');
  }
  // No method means plain (RFC 7636 section 4.3), which protects nothing from who sees the request.
  const codeChallenge = parameters.require('code_challenge');
  if (parameters.get('code_challenge_method') !== 'S256' || !isCodeChallenge(codeChallenge)) {
    throw new OAuthError('invalid_request', 'PKCE with the method S256 is required');
  }
  // Unknown scopes, none, or offline_access: clients send them all, and what is granted is told.
  const asked = largestScope(parameters.get('scope') ?? '');
  const resource = targetResource(parameters, publicOrigin);
  return { ...known, codeChallenge, state, asked, resource };
}

/** The state to give back with an error: one that stands twice is none. */
export function stateOf(parameters: Parameters): string | null {
  const values = parameters.getAll('state');
  return values.length === 1 ? (values[0] ?? null) : null;
}

/** A repeated client_id or redirect_uri is no reason to redirect anywhere. */
function onlyForPages<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof OAuthError) throw new ProblemError({ kind: 'link_incomplete' });
    throw error;
  }
}
