import type { ControlQuestion, Revoked, RevokeTarget } from '../control/protocol.ts';
import { askBroker } from './ask-broker.ts';
import type { Command } from './command.ts';
import type { Flags } from './flags.ts';
import { shownCount } from './shown.ts';

/**
 * Ends a grant, a session, or all grants of a person, at once: tokens are refused from the next
 * request on, streams end, programs stop.
 */
export const revoke: Command = (context) =>
  askBroker(context, {
    action: 'revoke',
    question,
    show,
  });

function question({
  texts,
}: Flags<'revoke'>): Extract<ControlQuestion, { readonly action: 'revoke' }> | string {
  const targets: RevokeTarget[] = [];
  if (texts.grant !== undefined) targets.push({ kind: 'grant', id: texts.grant });
  if (texts.session !== undefined) targets.push({ kind: 'session', shortId: texts.session });
  if (texts.login !== undefined) targets.push({ kind: 'login', login: texts.login });
  const [target, another] = targets;
  if (target === undefined) return 'it is not said what to revoke.';
  if (another !== undefined) return 'one thing is revoked at a time.';
  return { action: 'revoke', target };
}

function show({ grants, sessions }: Revoked): string {
  const ended = [
    ...(grants.length > 0 ? [`${shownCount(grants.length, 'grant')} (${grants.join(', ')})`] : []),
    ...(sessions.length > 0
      ? [`${shownCount(sessions.length, 'session')} (${sessions.join(', ')})`]
      : []),
  ];
  return `ended: ${ended.join(', ')}\n`;
}
