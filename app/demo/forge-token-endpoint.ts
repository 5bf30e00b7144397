import type { OnDemoForgeEvent } from './forge-event.ts';
import { type DemoRequest, json, plain, readBasic, readFields } from './forge-http.ts';
import type { DemoState } from './forge-state.ts';
import type { DemoTokens } from './forge-tokens.ts';

export interface TokenEndpointOptions {
  readonly state: DemoState;
  readonly tokens: DemoTokens;
  readonly onEvent: OnDemoForgeEvent;
}

/** `/login/oauth/access_token`, `userinfo` and `introspect`. There is no revocation endpoint. */
export function tokenHandlers(options: TokenEndpointOptions) {
  const { state, tokens, onEvent } = options;
  const refuse = (error: string, description: string): Response => {
    onEvent({ kind: 'token_call_refused', text: `Forgejo refuses a token call: ${description}` });
    // Always 400, and mostly `unauthorized_client` where RFC 6749 has `invalid_grant`.
    return json(400, { error, error_description: description });
  };

  return {
    token(request: DemoRequest): Response {
      const fields = readFields(request);
      const fault = clientFault(state, request, fields);
      if (fault !== undefined) return refuse('invalid_client', fault);
      switch (fields.get('grant_type')) {
        case 'authorization_code':
          return exchange(options, fields, refuse);
        case 'refresh_token':
          return renew(options, fields, refuse);
        default:
          return refuse(
            'unsupported_grant_type',
            'Only refresh_token or authorization_code grant type is supported',
          );
      }
    },

    userinfo(request: DemoRequest): Response {
      const proof = tokens.readAccess(bearerOf(request.headers) ?? '');
      if (proof === undefined) {
        return plain(401, 'no valid authorization', { 'www-authenticate': 'Bearer realm=""' });
      }
      const { user } = proof;
      return json(200, {
        sub: String(user.id),
        name: user.fullName,
        preferred_username: user.login,
        email: `${user.login}@example.org`,
        picture: `${request.url.origin}/avatars/${user.id}`,
        groups: [],
      });
    },

    introspect(request: DemoRequest): Response {
      if (clientFault(state, request, new URLSearchParams()) !== undefined) {
        return plain(401, 'no valid authorization', { 'www-authenticate': 'Basic realm=""' });
      }
      const token = readFields(request).get('token') ?? '';
      const access = tokens.readAccess(token);
      const refresh = tokens.readRefresh(token);
      const grant = access?.grant ?? (refresh.kind === 'honoured' ? refresh.grant : undefined);
      if (grant === undefined) return json(200, { active: false });
      return json(200, {
        active: true,
        scope: grant.scope,
        username: state.userById(grant.userId)?.login,
        iss: request.url.origin,
        sub: String(grant.userId),
        aud: [state.application.clientId],
      });
    },
  };
}

/** Both `Bearer` and Forgejo's own `token` are taken. */
export function bearerOf(headers: Headers): string | undefined {
  return headers.get('authorization')?.match(/^(?:bearer|token)\s+(\S+)$/i)?.[1];
}

type Refuse = (error: string, description: string) => Response;

function exchange(options: TokenEndpointOptions, fields: URLSearchParams, refuse: Refuse) {
  const { state, tokens, onEvent } = options;
  const value = fields.get('code') ?? '';
  const redirectUri = fields.get('redirect_uri') ?? '';
  if (redirectUri !== '' && !state.application.redirectUris.includes(redirectUri)) {
    return refuse('unauthorized_client', 'unexpected redirect URI');
  }
  const code = state.code(value);
  const grant = code === undefined ? undefined : state.grant(code.grantId);
  if (code === undefined || grant === undefined) {
    return refuse('unauthorized_client', 'client is not authorized');
  }
  const verifier = fields.get('code_verifier') ?? '';
  if (code.challenge !== null && code.challenge !== challengeOf(verifier)) {
    return refuse('unauthorized_client', 'failed PKCE code challenge');
  }
  state.spendCode(value);
  const login = state.userById(grant.userId)?.login ?? '';
  onEvent({ kind: 'tokens_issued', text: `Forgejo gives tokens of ${login} for a code` });
  return json(200, tokens.issue(grant));
}

function renew(options: TokenEndpointOptions, fields: URLSearchParams, refuse: Refuse) {
  const { state, tokens, onEvent } = options;
  const reading = tokens.readRefresh(fields.get('refresh_token') ?? '');
  switch (reading.kind) {
    case 'unreadable':
      return refuse('unauthorized_client', 'unable to parse refresh token');
    case 'no_grant':
      return refuse('invalid_grant', 'grant does not exist');
    case 'used':
      return refuse('unauthorized_client', 'token was already used');
    case 'honoured': {
      const login = state.userById(reading.grant.userId)?.login ?? '';
      onEvent({ kind: 'tokens_renewed', text: `Forgejo renews the tokens of ${login}` });
      return json(200, tokens.issue(reading.grant));
    }
  }
}

/** Client id and secret in the body, or else as HTTP Basic; undefined when they are right. */
function clientFault(
  { application }: DemoState,
  request: DemoRequest,
  fields: URLSearchParams,
): string | undefined {
  const basic = readBasic(request.headers);
  const id = fields.get('client_id') ?? basic?.user ?? '';
  const secret = fields.get('client_secret') ?? basic?.password ?? '';
  if (id !== application.clientId) return `cannot load client with client id: "${id}"`;
  if (secret === '') return 'invalid empty client secret';
  return secret === application.clientSecret ? undefined : 'invalid client secret';
}

function challengeOf(verifier: string): string {
  return new Bun.CryptoHasher('sha256').update(verifier).digest('base64url');
}
