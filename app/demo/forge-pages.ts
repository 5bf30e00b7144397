import type { BrowserSession, DemoUser } from './forge-state.ts';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:32rem;padding:0 1rem}
header{color:#7a2e00;font-weight:600;border-bottom:3px solid #e8590c;padding-bottom:.5rem}
label{display:block;margin:.75rem 0 .25rem}input{font:inherit;padding:.4rem;width:100%;box-sizing:border-box}
button{font:inherit;padding:.5rem 1rem;margin:1rem .5rem 0 0}.wrong{color:#b00020}code{word-break:break-all}`;

/** What the login page says above its form. */
export type LoginProblem = 'none' | 'wrong_password';

/** `/user/login`: the fields of Forgejo's form, `_csrf`, `user_name` and `password`. */
export function loginPage(csrf: string, problem: LoginProblem, users: readonly DemoUser[]): string {
  const wrong =
    problem === 'none'
      ? ''
      : '<p class="wrong" role="alert">Username or password is incorrect.</p>';
  const known = users
    .map(
      (user) => `<li><code>${text(user.login)}</code> / <code>${text(user.password)}</code></li>`,
    )
    .join('');
  return page(
    'Sign In - Demo Forgejo',
    `<h1>Sign In</h1>${wrong}
<form action="/user/login" method="post">
${hidden('_csrf', csrf)}
<label for="user_name">Username</label>
<input id="user_name" name="user_name" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Sign In</button>
</form>
<p>This is a demo. Its users are:</p><ul>${known}</ul>`,
  );
}

export interface GrantPage {
  readonly csrf: string;
  readonly login: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state: string;
  readonly scope: string;
  readonly nonce: string;
}

/** The page of the first grant; its form goes to `/login/oauth/grant`. */
export function grantPage(asked: GrantPage): string {
  const scope = asked.scope === '' ? 'everything you can do' : asked.scope;
  return page(
    'Authorize Application - Demo Forgejo',
    `<h1>Authorize "Demo broker" to access your account?</h1>
<p>You are signed in as <strong>${text(asked.login)}</strong>. The application asks for:
<code>${text(scope)}</code></p>
<p>You will be sent to <strong>${text(asked.redirectUri)}</strong></p>
<form action="/login/oauth/grant" method="post">
${hidden('_csrf', asked.csrf)}
${hidden('client_id', asked.clientId)}
${hidden('state', asked.state)}
${hidden('scope', asked.scope)}
${hidden('nonce', asked.nonce)}
${hidden('redirect_uri', asked.redirectUri)}
<button name="granted" value="true">Authorize Application</button>
<button name="granted" value="false">Cancel</button>
</form>`,
  );
}

/** `/`: who is signed in, and a way out. */
export function homePage(session: BrowserSession, user: DemoUser | undefined): string {
  const body =
    user === undefined
      ? '<p>Nobody is signed in. <a href="/user/login">Sign In</a></p>'
      : `<p>You are signed in as <strong>${text(user.login)}</strong>.</p>
<form action="/user/logout" method="post">${hidden('_csrf', session.csrf)}
<button>Sign Out</button></form>`;
  return page('Demo Forgejo', `<h1>Demo Forgejo</h1>${body}`);
}

/** A fault of the application, told to the person because there is nowhere to redirect to. */
export function grantErrorPage(code: string, description: string): string {
  return page(
    'Authorization failed - Demo Forgejo',
    `<h1>Authorization failed</h1><p>${text(description)}</p><p><code>${text(code)}</code></p>`,
  );
}

/** What a reverse proxy shows in place of Forgejo. */
export function proxyPage(status: number): string {
  return page(
    `${status}`,
    '<h1>Something is wrong here</h1><p>A page where JSON was expected.</p>',
  );
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${text(title)}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>${STYLE}</style></head>
<body><header>Demo Forgejo</header><main>${body}</main></body></html>
`;
}

function hidden(name: string, value: string): string {
  return `<input type="hidden" name="${name}" value="${text(value)}">`;
}

function text(value: string): string {
  return Bun.escapeHTML(value);
}
