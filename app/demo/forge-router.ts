import type { Clock } from '../base/clock.ts';
import { apiHandler } from './forge-api.ts';
import { authorizeHandlers } from './forge-authorize.ts';
import type { OnDemoForgeEvent } from './forge-event.ts';
import { type DemoRequest, json, plain } from './forge-http.ts';
import { loginHandlers } from './forge-login.ts';
import type { DemoRepositories } from './forge-repositories.ts';
import type { DemoState } from './forge-state.ts';
import { tokenHandlers } from './forge-token-endpoint.ts';
import type { DemoTokens } from './forge-tokens.ts';

export interface RouterParts {
  readonly state: DemoState;
  readonly tokens: DemoTokens;
  readonly repositories: DemoRepositories;
  readonly clock: Clock;
  readonly onEvent: OnDemoForgeEvent;
}

/** Every path of the demo forge; what is not here is 404, a revocation endpoint too. */
export function createRouter(parts: RouterParts): (request: DemoRequest) => Response {
  const login = loginHandlers(parts);
  const authorize = authorizeHandlers(parts);
  const token = tokenHandlers(parts);
  const api = apiHandler(parts);
  return (request) => {
    if (request.url.pathname.startsWith('/api/v1/')) return api(request);
    switch (`${request.method} ${request.url.pathname}`) {
      case 'GET /':
        return login.home(request);
      case 'GET /user/login':
        return login.loginForm(request);
      case 'POST /user/login':
        return login.login(request);
      case 'POST /user/logout':
        return login.logout(request);
      case 'GET /login/oauth/authorize':
        return authorize.authorize(request);
      case 'POST /login/oauth/grant':
        return authorize.grant(request);
      case 'POST /login/oauth/access_token':
        return token.token(request);
      case 'GET /login/oauth/userinfo':
        return token.userinfo(request);
      case 'POST /login/oauth/introspect':
        return token.introspect(request);
      case 'GET /login/oauth/keys':
        return json(200, { keys: [] });
      case 'GET /.well-known/openid-configuration':
        return json(200, discovery(request.url.origin));
      default:
        return plain(404, 'Not found.\n');
    }
  };
}

function discovery(origin: string) {
  return {
    issuer: origin,
    authorization_endpoint: `${origin}/login/oauth/authorize`,
    token_endpoint: `${origin}/login/oauth/access_token`,
    jwks_uri: `${origin}/login/oauth/keys`,
    userinfo_endpoint: `${origin}/login/oauth/userinfo`,
    introspection_endpoint: `${origin}/login/oauth/introspect`,
    response_types_supported: ['code', 'id_token'],
    id_token_signing_alg_values_supported: ['RS256'],
    subject_types_supported: ['public'],
    scopes_supported: ['openid', 'profile', 'email', 'groups'],
    code_challenge_methods_supported: ['plain', 'S256'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
  };
}
