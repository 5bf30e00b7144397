import { createHmac } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/secret.ts';
import type { DemoGrant, DemoState, DemoUser } from './forge-state.ts';

/** A token answer as Forgejo writes it: `bearer` in lower case, and no `scope`. */
export interface DemoTokenAnswer {
  readonly access_token: string;
  readonly token_type: 'bearer';
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly id_token?: string;
}

/** The claims of Forgejo's own tokens: grant, kind (0 access, 1 refresh), counter. */
interface Claims {
  readonly gnt: number;
  readonly tt: 0 | 1;
  readonly cnt?: number;
  readonly exp: number;
  readonly iat: number;
  /** Not Forgejo's: its tokens of one second are equal, which would blind a test. */
  readonly jti: number;
}

export type RefreshReading =
  | { readonly kind: 'honoured'; readonly grant: DemoGrant }
  | { readonly kind: 'unreadable' | 'no_grant' | 'used' };

export interface DemoTokens {
  /** Issues a pair; with rotation on, every older refresh token of the grant dies here. */
  issue(grant: DemoGrant): DemoTokenAnswer;
  /** Whether a refresh token would be honoured now, or why not. */
  readRefresh(token: string): RefreshReading;
  /** Whose access token this is; undefined for anything that the API refuses. */
  readAccess(token: string): { readonly user: DemoUser; readonly grant: DemoGrant } | undefined;
  /** The serial number of the token issued last. */
  readonly lastSerial: number;
}

export interface DemoTokenOptions {
  readonly state: DemoState;
  readonly rotation: boolean;
  readonly accessTtlS: number;
  readonly refreshTtlS: number;
  readonly issuer: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly onTokens: (answer: DemoTokenAnswer) => void;
}

/** Bytes of an RS256 signature with Forgejo's key of 4096 bits; it makes the tokens long. */
const SIGNATURE_BYTES = 512;
const HASH_BYTES = 64;

export function createDemoTokens(options: DemoTokenOptions): DemoTokens {
  const { state, clock } = options;
  const key = options.random(32);
  let serial = 0;

  const nowS = () => Math.floor(clock.now() / 1000);
  const read = (token: string, kind: Claims['tt']): Claims | undefined => {
    const claims = openJwt(key, token);
    return claims?.tt === kind && claims.exp > nowS() ? claims : undefined;
  };

  return {
    get lastSerial() {
      return serial;
    },
    issue(grant) {
      if (options.rotation) grant.counter += 1;
      const iat = nowS();
      serial += 2;
      const access = { gnt: grant.id, tt: 0, iat, jti: serial - 1, exp: iat + options.accessTtlS };
      const refresh = { gnt: grant.id, tt: 1, cnt: grant.counter, iat, jti: serial };
      const answer: DemoTokenAnswer = {
        access_token: sealJwt(key, access),
        token_type: 'bearer',
        expires_in: options.accessTtlS,
        refresh_token: sealJwt(key, { ...refresh, exp: iat + options.refreshTtlS }),
      };
      options.onTokens(answer);
      if (!grant.scope.split(' ').includes('openid')) return answer;
      const id = { iss: options.issuer(), sub: String(grant.userId), exp: access.exp };
      return { ...answer, id_token: sealJwt(key, { ...id, aud: [state.application.clientId] }) };
    },
    readRefresh(token) {
      const claims = read(token, 1);
      if (claims === undefined) return { kind: 'unreadable' };
      const grant = state.grant(claims.gnt);
      if (grant === undefined) return { kind: 'no_grant' };
      if (options.rotation && grant.counter !== claims.cnt) return { kind: 'used' };
      return { kind: 'honoured', grant };
    },
    readAccess(token) {
      const claims = read(token, 0);
      const grant = claims === undefined ? undefined : state.grant(claims.gnt);
      const user = grant === undefined ? undefined : state.userById(grant.userId);
      if (claims === undefined || grant === undefined || user === undefined) return undefined;
      return claims.jti <= user.deadUpTo ? undefined : { user, grant };
    },
  };
}

/** Three parts like a JWT and as long as Forgejo's; the signature is this forge's own. */
function sealJwt(key: Uint8Array, claims: object): string {
  const head = { alg: 'RS256', kid: 'demo-forge-has-no-published-key-0000000000', typ: 'JWT' };
  const signed = `${encode(head)}.${encode(claims)}`;
  return `${signed}.${sign(key, signed)}`;
}

function openJwt(key: Uint8Array, token: string): Claims | undefined {
  const end = token.lastIndexOf('.');
  const signed = token.slice(0, Math.max(0, end));
  if (sign(key, signed) !== token.slice(end + 1)) return undefined;
  const body = signed.split('.')[1] ?? '';
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims;
}

function sign(key: Uint8Array, text: string): string {
  const blocks = Array.from({ length: SIGNATURE_BYTES / HASH_BYTES }, (_, index) =>
    createHmac('sha512', key).update(`${index}.${text}`).digest(),
  );
  return Buffer.concat(blocks).toString('base64url');
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
