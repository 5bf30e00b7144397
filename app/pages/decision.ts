import { type Html, html } from './html.ts';
import type { DecisionForm } from './views.ts';

/** A form of two buttons, the one decision of a page, with what else is decided above them. */
export function decisionForm(
  form: DecisionForm,
  labels: { readonly allow: string; readonly deny: string },
  fields: Html | null = null,
): Html {
  return html`<form method="post" action="${form.action}">
<input type="hidden" name="request" value="${form.request}">
<input type="hidden" name="approval" value="${form.approval}">
${fields}
<div class="choices">
<button name="decision" value="allow">${labels.allow}</button>
<button name="decision" value="deny" class="second">${labels.deny}</button>
</div>
</form>`;
}
