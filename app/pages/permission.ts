import { type Html, html } from './html.ts';
import type { ChoicesView, Option, PermissionView } from './views.ts';

/** UTF-16 units of the list of places, so that the form stays within what is read of one. */
const TARGETS_LENGTH_MAX = 4000;

/**
 * The fields with which a person chooses. The narrower choices are folded away, open when one of
 * them is in force or wrong, so that nothing holds that is not in sight.
 */
export function permissionFields(choices: ChoicesView): Html {
  const { scopes, isCut, toolsets, targets, isNarrowed, fault } = choices;
  const open = isNarrowed || fault !== null ? html` open` : null;
  return html`${fault === null ? null : html`<p class="fault" role="alert">${fault}</p>`}
<fieldset>
<legend>What it may do</legend>
${scopes.map((scope) => option('radio', 'scope', scope))}
${isCut ? html`<p class="soft">The administrator of this server does not allow more.</p>` : null}
</fieldset>
<details${open}>
<summary>Only some tools, or some repositories</summary>
<fieldset class="boxes">
<legend>Kinds of tools</legend>
<div>${toolsets.map((toolset) => option('checkbox', 'toolset', toolset))}</div>
</fieldset>
<p class="field"><label for="targets">Only in these repositories and organisations</label></p>
<textarea id="targets" name="targets" rows="3" maxlength="${TARGETS_LENGTH_MAX}" spellcheck="false" autocapitalize="off" autocomplete="off" aria-describedby="targets-help">${targets}</textarea>
<p class="soft" id="targets-help">One a line: <code>owner/repo</code> for a repository, <code>owner/*</code> for all repositories of one owner, <code>owner</code> for an organisation itself. Leave it empty to allow all that your account can reach. With a list, tools that do not say where they work are refused.</p>
</details>`;
}

/** What was chosen, in sentences. */
export function permissionSummary({ scope, toolsets, targets }: PermissionView): Html {
  const detail = scope.detail === '' ? null : html`: ${scope.detail}`;
  const tools = toolsets && html`<p>Only these kinds of tools: ${toolsets.join(', ')}.</p>`;
  const places =
    targets &&
    html`<p>Only in these places:</p>
<ul>${targets.map((target) => html`<li><code>${target}</code></li>`)}</ul>`;
  return html`<p><strong>${scope.title}</strong>${detail}</p>
${tools}${places}`;
}

function option(type: 'radio' | 'checkbox', name: string, shown: Option): Html {
  const { value, title, detail, chosen, isGrave } = shown;
  const checked = chosen ? html` checked` : null;
  const more = detail === '' ? null : html` <span class="soft">${detail}</span>`;
  return html`<label class="${isGrave ? 'option grave' : 'option'}"><input type="${type}" name="${name}" value="${value}"${checked}><span><strong>${title}</strong>${more}</span></label>
`;
}
