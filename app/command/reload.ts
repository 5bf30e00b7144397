import { LONG_CONTROL_TIMEOUT_MS, type ReloadedSettings } from '../control/protocol.ts';
import { askBroker } from './ask-broker.ts';
import type { Command } from './command.ts';

const USAGE = '[--json] [--control-socket FILE]';

/**
 * Has the running broker read its settings again, and tells what has changed. Exit codes: 0 read, 1
 * refused, and nothing has changed, 2 wrong flags.
 */
export const reload: Command = (context) =>
  askBroker(context, {
    action: 'reload',
    flags: [],
    usage: USAGE,
    timeoutMs: LONG_CONTROL_TIMEOUT_MS,
    question: () => ({ action: 'reload' }),
    show,
  });

function show({ changed, needRestart, warnings }: ReloadedSettings): string {
  const lines = [
    ...changed.map(({ name, from, to }) =>
      from === undefined || to === undefined
        ? `${name} has changed`
        : `${name} was "${from}" and is "${to}" now`,
    ),
    ...needRestart.map((name) => `${name} has changed and needs a restart`),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  return `${lines.length === 0 ? 'nothing has changed' : lines.join('\n')}\n`;
}
