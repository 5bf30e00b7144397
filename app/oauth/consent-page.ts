import type { DecisionForm } from '../pages/views.ts';
import type { KnownRedirect } from './authorization-request.ts';
import type { AuthorizationServerParts } from './parts.ts';
import type { Choice } from './permission-choice.ts';
import { choicesView } from './permission-view.ts';
import { clientView, forgeHostOf } from './running-request.ts';

/** The consent page of a request, the first time or again with what is wrong about the choice. */
export function consentPage(
  asking: {
    readonly known: KnownRedirect;
    readonly login: string | null;
    readonly choice: Choice;
    readonly fault: string | null;
    readonly form: Omit<DecisionForm, 'action'>;
  },
  parts: Pick<AuthorizationServerParts, 'pages' | 'scopes' | 'forgejoUrl'>,
): Response {
  return parts.pages.consent({
    client: clientView(asking.known),
    choices: choicesView(asking.choice, parts.scopes, asking.fault),
    forgeHost: forgeHostOf(parts.forgejoUrl),
    login: asking.login,
    form: { action: '/oauth/consent', ...asking.form },
  });
}
