import { clientPhrase, returnPlace } from './client.ts';
import { decisionForm } from './decision.ts';
import { html } from './html.ts';
import { pageResponse } from './layout.ts';
import { permissionFields } from './permission.ts';
import type { ConsentView } from './views.ts';

/** Asks whether a client may have access, and how much; shown every time, before Forgejo. */
export function consentPage(view: ConsentView): Response {
  const { client, choices, forgeHost, login } = view;
  const account =
    login === null
      ? html`<p>You will sign in at <strong>${forgeHost}</strong> next, and see which account it is before anything is handed out.</p>`
      : html`<p>You signed in with this browser as <strong><bdi>${login}</bdi></strong> before. If ${forgeHost} now says that you are somebody else, you are asked again.</p>`;
  const page = {
    title: `Allow access to ${forgeHost}?`,
    body: html`<p>${clientPhrase(client)} wants to use your account at <strong>${forgeHost}</strong>.</p>
${returnPlace(client)}
<section>
<h2>Your account</h2>
${account}
</section>
${decisionForm(view.form, { allow: 'Allow', deny: 'Refuse' }, permissionFields(choices))}
<p class="soft note">Your password stays with ${forgeHost}. You are asked every time an application connects.</p>`,
  };
  return pageResponse(page, { status: choices.fault === null ? 200 : 400 });
}
