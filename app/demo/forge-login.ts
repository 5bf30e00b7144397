import type { OnDemoForgeEvent } from './forge-event.ts';
import {
  cookie,
  type DemoRequest,
  expiredCookie,
  html,
  plain,
  readCookie,
  readFields,
  redirect,
} from './forge-http.ts';
import { homePage, loginPage } from './forge-pages.ts';
import type { BrowserSession, DemoState } from './forge-state.ts';

/** The names that Forgejo gives its cookies. */
const SESSION_COOKIE = 'i_like_gitea';
const CSRF_COOKIE = '_csrf';
const RETURN_COOKIE = 'redirect_to';

/** The browser that sends this request; a new one gets its cookies with the answer. */
export function browserOf(state: DemoState, request: DemoRequest): BrowserSession {
  return state.session(readCookie(request.headers, SESSION_COOKIE));
}

export function sessionCookies(session: BrowserSession): string[] {
  return [cookie(SESSION_COOKIE, session.id), cookie(CSRF_COOKIE, session.csrf)];
}

/** Sends a browser that is not signed in to the login form, and back to `returnTo` after it. */
export function toLogin(session: BrowserSession, returnTo: string): Response {
  const remembered = cookie(RETURN_COOKIE, encodeURIComponent(returnTo));
  return redirect('/user/login', [...sessionCookies(session), remembered]);
}

/** Forgejo 7 compares the field with the browser's own token; undefined when it is right. */
export function refuseForgery(
  session: BrowserSession,
  fields: URLSearchParams,
): Response | undefined {
  return fields.get('_csrf') === session.csrf ? undefined : plain(400, 'Invalid CSRF token.\n');
}

export interface LoginOptions {
  readonly state: DemoState;
  readonly onEvent: OnDemoForgeEvent;
}

/** `/`, `/user/login` and `/user/logout`. */
export function loginHandlers({ state, onEvent }: LoginOptions) {
  return {
    home(request: DemoRequest): Response {
      const session = browserOf(state, request);
      const page = homePage(session, state.userById(session.userId));
      return html(200, page, sessionCookies(session));
    },

    loginForm(request: DemoRequest): Response {
      const session = browserOf(state, request);
      if (session.userId !== null) return redirect('/');
      onEvent({ kind: 'login_page_shown', text: 'Forgejo shows its login form' });
      return html(200, loginPage(session.csrf, 'none', state.users), sessionCookies(session));
    },

    /**
     * A disabled user gets past this form: the refusal to be seen is the broker's, which must not
     * rely on Forgejo having stopped the person here.
     */
    login(request: DemoRequest): Response {
      const session = browserOf(state, request);
      const fields = readFields(request);
      const forged = refuseForgery(session, fields);
      if (forged !== undefined) return forged;
      const name = fields.get('user_name')?.toLowerCase();
      const user = state.users.find((candidate) => candidate.login.toLowerCase() === name);
      if (user === undefined || user.password !== fields.get('password')) {
        onEvent({ kind: 'sign_in_failed', text: 'Forgejo refuses a wrong name or password' });
        return html(200, loginPage(session.csrf, 'wrong_password', state.users));
      }
      onEvent({ kind: 'signed_in', text: `${user.login} signs in to Forgejo` });
      // A new session id at sign-in: one that an attacker planted before it must be worth nothing.
      state.closeSession(session.id);
      const fresh = state.openSession(user.id);
      const cookies = [...sessionCookies(fresh), expiredCookie(RETURN_COOKIE)];
      return redirect(returnTarget(request), cookies);
    },

    logout(request: DemoRequest): Response {
      const session = browserOf(state, request);
      const forged = refuseForgery(session, readFields(request));
      if (forged !== undefined) return forged;
      state.closeSession(session.id);
      return redirect('/', [expiredCookie(SESSION_COOKIE), expiredCookie(CSRF_COOKIE)]);
    },
  };
}

/** Only a path of this forge: anything else would be an open redirect. */
function returnTarget(request: DemoRequest): string {
  const remembered = decodeURIComponent(readCookie(request.headers, RETURN_COOKIE) ?? '/');
  return /^\/(?![/\\])/.test(remembered) ? remembered : '/';
}
