import type { ControlQuestion, Revoked, RevokeTarget } from '../control/protocol.ts';
import { askBroker } from './ask-broker.ts';
import type { Command } from './command.ts';
import { shownCount } from './shown.ts';

const USAGE =
  '--grant ID | --session ID | --login LOGIN [--json] [--control-socket FILE]\n' +
  '  An id that begins with "-" is written behind "=": --session=-a1B2c3D4';

/**
 * Ends a grant, a session, or all grants of a person, at once: tokens are refused from the next
 * request on, streams end, programs stop.
 */
export const revoke: Command = (context) =>
  askBroker(context, {
    action: 'revoke',
    flags: ['grant', 'session', 'login'],
    usage: USAGE,
    question,
    show,
  });

function question(flags: {
  readonly grant?: string;
  readonly session?: string;
  readonly login?: string;
}): Extract<ControlQuestion, { readonly action: 'revoke' }> | string {
  const targets: RevokeTarget[] = [];
  if (flags.grant !== undefined) targets.push({ kind: 'grant', id: flags.grant });
  if (flags.session !== undefined) targets.push({ kind: 'session', shortId: flags.session });
  if (flags.login !== undefined) targets.push({ kind: 'login', login: flags.login });
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
