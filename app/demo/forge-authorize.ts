import type { OnDemoForgeEvent } from './forge-event.ts';
import { type DemoRequest, html, plain, readFields, redirect } from './forge-http.ts';
import { browserOf, refuseForgery, sessionCookies, toLogin } from './forge-login.ts';
import { grantErrorPage, grantPage } from './forge-pages.ts';
import type { BrowserSession, DemoGrant, DemoState, DemoUser } from './forge-state.ts';

export interface AuthorizeOptions {
  readonly state: DemoState;
  readonly onEvent: OnDemoForgeEvent;
}

/** `/login/oauth/authorize` and `/login/oauth/grant`. */
export function authorizeHandlers({ state, onEvent }: AuthorizeOptions) {
  return {
    authorize(request: DemoRequest): Response {
      const session = browserOf(state, request);
      const user = state.userById(session.userId);
      // Who it is comes before what is asked: a wrong client id too is told after the login form.
      if (user === undefined) return toLogin(session, request.url.pathname + request.url.search);
      const asked = request.url.searchParams;
      const fault = authorizeFault(state, asked);
      if (fault !== undefined) return fault;
      const grant = state.grantOf(user.id);
      if (grant !== undefined) {
        onEvent({
          kind: 'granted_silently',
          text: `${user.login} has a grant already: Forgejo gives a code without any page`,
        });
        // On this way the challenge is kept, and checked later.
        return sendCode(state, grant, asked, asked.get('code_challenge'));
      }
      onEvent({ kind: 'grant_page_shown', text: `Forgejo asks ${user.login} for consent` });
      return html(200, showGrant(session, user, asked), sessionCookies(session));
    },

    grant(request: DemoRequest): Response {
      const session = browserOf(state, request);
      const user = state.userById(session.userId);
      if (user === undefined) return toLogin(session, '/');
      const fields = readFields(request);
      const forged = refuseForgery(session, fields);
      if (forged !== undefined) return forged;
      if (!matchesAsked(session, fields)) return plain(400, 'Bad Request\n');
      if (fields.get('granted') !== 'true') {
        onEvent({ kind: 'denied', text: `${user.login} refuses on Forgejo's page` });
        return sendError(fields, 'access_denied', 'the request is denied');
      }
      const scope = fields.get('scope') ?? '';
      const grant = state.grantOf(user.id) ?? state.makeGrant(user.id, scope);
      if (grant.scope !== scope) {
        return sendError(fields, 'server_error', 'a grant exists with different scope');
      }
      onEvent({ kind: 'granted', text: `${user.login} agrees on Forgejo's page` });
      // Forgejo loses the challenge over its grant page: any verifier will do for this code.
      return sendCode(state, grant, fields, null);
    },
  };
}

/** Faults of client id and redirect URI end on a page, the others at the redirect URI. */
function authorizeFault(state: DemoState, asked: URLSearchParams): Response | undefined {
  const { clientId, redirectUris } = state.application;
  if (asked.get('client_id') !== clientId) {
    return html(400, grantErrorPage('unauthorized_client', 'Client ID not registered'));
  }
  if (!redirectUris.includes(asked.get('redirect_uri') ?? '')) {
    return html(400, grantErrorPage('invalid_request', 'Unregistered Redirect URI'));
  }
  if (asked.get('response_type') !== 'code') {
    const description = 'Only code response type is supported.';
    return sendError(asked, 'unsupported_response_type', description);
  }
  const method = asked.get('code_challenge_method') ?? '';
  if (method !== 'S256' && method !== '') {
    return sendError(asked, 'invalid_request', 'unsupported code challenge method');
  }
  return undefined;
}

function showGrant(session: BrowserSession, user: DemoUser, asked: URLSearchParams): string {
  const field = (name: string) => asked.get(name) ?? '';
  session.asked = {
    clientId: field('client_id'),
    redirectUri: field('redirect_uri'),
    state: field('state'),
  };
  return grantPage({
    ...session.asked,
    csrf: session.csrf,
    login: user.login,
    scope: field('scope'),
    nonce: field('nonce'),
  });
}

function matchesAsked(session: BrowserSession, fields: URLSearchParams): boolean {
  return (
    session.asked !== null &&
    session.asked.clientId === fields.get('client_id') &&
    session.asked.redirectUri === fields.get('redirect_uri') &&
    session.asked.state === (fields.get('state') ?? '')
  );
}

function sendCode(
  state: DemoState,
  grant: DemoGrant,
  asked: URLSearchParams,
  challenge: string | null,
): Response {
  const redirectUri = asked.get('redirect_uri') ?? '';
  const code = state.makeCode({ grantId: grant.id, redirectUri, challenge });
  return backTo(redirectUri, { code, state: asked.get('state') ?? '' });
}

function sendError(asked: URLSearchParams, error: string, description: string): Response {
  return backTo(asked.get('redirect_uri') ?? '', {
    error,
    error_description: description,
    state: asked.get('state') ?? '',
  });
}

function backTo(redirectUri: string, parameters: Record<string, string>): Response {
  const target = new URL(redirectUri);
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  return redirect(target.href);
}
