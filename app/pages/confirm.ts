import { clientPhrase, returnPlace } from './client.ts';
import { decisionForm } from './decision.ts';
import { html } from './html.ts';
import { pageResponse } from './layout.ts';
import { permissionSummary } from './permission.ts';
import type { ConfirmView } from './views.ts';

/** Names the account that came back from Forgejo and asks whether it is the right one. */
export function confirmPage(view: ConfirmView): Response {
  const { client, forgeHost, login, permission } = view;
  return pageResponse({
    title: `Connect as ${login}?`,
    body: html`<section>
<h2>${forgeHost} says that you are</h2>
<p class="place"><bdi>${login}</bdi></p>
</section>
<p>${clientPhrase(client)} will work with this account.</p>
${returnPlace(client)}
${permission.isEverything ? html`<section class="warning">` : html`<section>`}
<h2>What it may do</h2>
${permissionSummary(permission)}
</section>
${decisionForm(view.form, { allow: `Yes, connect as ${login}`, deny: 'Cancel' })}
<h2 class="note">Not you, or another account?</h2>
<p class="soft">Sign out at <a href="${view.forgeUrl}">${forgeHost}</a>, then <a href="${view.restartUrl}">start again</a>.</p>`,
  });
}
