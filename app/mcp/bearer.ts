import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import { type Digest, digestOf } from '../base/secret.ts';
import type { Store } from '../store/store.ts';
import type { AccessTokenProof } from '../store/tokens.ts';
import { createPermissionReader, type HeldPermission } from '../tools/held-permission.ts';
import type { Permission } from '../tools/permission.ts';
import type { Scope } from '../tools/scopes.ts';

declare const proof: unique symbol;

/**
 * Who is asking, and with which grant. Only `createBearerCheck` makes one, from a token that was
 * good at that moment: a function that takes it cannot be reached without.
 */
export interface BearerGrant {
  readonly [proof]: true;
  readonly grantId: string;
  readonly accountId: number;
  readonly clientId: string;
  readonly login: string;
  /** The access token that was sent. */
  readonly token: Digest;
  /** What it may do now. */
  readonly allowed: Permission;
  /** The same, as a text: another one when anything of it is different. */
  readonly permission: string;
}

/**
 * Why a request has no grant. `missing` is no fault: it is how a client learns where to sign in.
 * `account`: the person must sign in to the forge again, or may not at all.
 */
export type BearerRefusal =
  | 'missing'
  | 'malformed'
  | 'unknown'
  | 'expired'
  | 'ended'
  | 'account'
  | 'other_resource'
  /** It names no scope of this resource, so it allows nothing here. */
  | 'no_scope';

export interface BearerCheckOptions {
  readonly tokens: Pick<Store['tokens'], 'findAccess' | 'confirmAnswer'>;
  readonly grants: Pick<Store['grants'], 'used'>;
  /** The one resource that a token must have been issued for (RFC 8707 section 2). */
  readonly resource: string;
  /** The most that any connection may do now. */
  readonly ceiling: () => Scope;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Checks the credentials of one request against the store; rejects with `StoreError`. */
export type BearerCheck = (headers: Headers) => Promise<Result<BearerGrant, BearerRefusal>>;

/**
 * The bearer check of RFC 6750. It reads the `Authorization` header alone (a token in a query is
 * in every log on the way, section 5.3) and asks the store each time: an ended grant is refused
 * from the next request on.
 */
export function createBearerCheck(options: BearerCheckOptions): BearerCheck {
  const refuse = (reason: BearerRefusal, found?: AccessTokenProof) => {
    options.metrics.bearerRefused.inc({ reason });
    const whose = found === undefined ? {} : { grant: found.grantId, login: found.login };
    options.log.debug('bearer.refused', { reason, ...whose });
    return err(reason);
  };
  const readPermission = createPermissionReader();
  return async (headers) => {
    const credentials = bearerCredentials(headers);
    if (credentials.kind !== 'token') return refuse(credentials.kind);
    // Garbage, and Forgejo's own tokens (never accepted here), do not even reach the store.
    if (!ACCESS_TOKEN.test(credentials.token)) return refuse('unknown');
    const found = await options.tokens.findAccess(digestOf(credentials.token));
    if (found === undefined) return refuse('unknown');
    const fault = faultOf(found, options.resource, options.clock.now());
    if (fault !== undefined) return refuse(fault, found);
    const held = readPermission(found.permission, found.scope, options.ceiling());
    // Whatever broke it, nothing may be read into it.
    if (!held.ok) throw new Error(`grant ${found.grantId}: ${held.error}`);
    if (held.value === undefined) return refuse('no_scope', found);
    // The client has its token answer: from here on the predecessor of that answer is spent.
    if (found.unconfirmedAnswer !== null) {
      await options.tokens.confirmAnswer(found.unconfirmedAnswer);
    }
    options.grants.used(found.grantId);
    return ok(grantOf(found, held.value));
  };
}

const ACCESS_TOKEN = /^fjmcp_at_[A-Za-z0-9_-]{43}$/;

/** RFC 6750 section 2.1: `b64token`; the scheme's name is case-insensitive (RFC 9110 section 11.1). */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;
const BEARER_SCHEME = /^bearer\b/i;

/**
 * Two headers arrive joined by a comma, behind which a second scheme stands. Taking either would be
 * a choice that a proxy in front may have made the other way.
 */
const TWO_HEADERS = /,\s*[A-Za-z][A-Za-z0-9-]*\s+[^=\s,]/;

/** Credentials of another scheme are none here. */
type Credentials =
  | { readonly kind: 'missing' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'token'; readonly token: string };

function bearerCredentials(headers: Headers): Credentials {
  const value = headers.get('authorization')?.trim() ?? '';
  const token = BEARER.exec(value)?.[1];
  if (token !== undefined) return { kind: 'token', token };
  return { kind: BEARER_SCHEME.test(value) || TWO_HEADERS.test(value) ? 'malformed' : 'missing' };
}

function faultOf(
  found: AccessTokenProof,
  resource: string,
  nowMs: number,
): BearerRefusal | undefined {
  if (found.resource !== resource) return 'other_resource';
  if (found.grantEnded) return 'ended';
  if (found.expiresAt <= nowMs) return 'expired';
  if (found.accountState !== 'active') return 'account';
  return undefined;
}

function grantOf(found: AccessTokenProof, held: HeldPermission): BearerGrant {
  const { grantId, accountId, clientId, login, digest: token } = found;
  const { permission: allowed, text: permission } = held;
  return { grantId, accountId, clientId, login, token, allowed, permission } as BearerGrant;
}
