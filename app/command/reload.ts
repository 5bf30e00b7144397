import {
  type HandedOver,
  LONG_CONTROL_TIMEOUT_MS,
  type ReloadedSettings,
} from '../control/protocol.ts';
import { askBroker } from './ask-broker.ts';
import type { Command } from './command.ts';

/**
 * Has the running broker read its settings again, and tells what has changed. Where the program was
 * replaced since, or with `--hand-over`, the broker starts a successor and hands everything over.
 * Exit codes: 0 done, 1 refused, and all is as before, 2 wrong flags.
 */
export const reload: Command = (context) =>
  askBroker(context, {
    action: 'reload',
    timeoutMs: LONG_CONTROL_TIMEOUT_MS,
    question: ({ switches }) => ({ action: 'reload', handOver: switches.has('hand-over') }),
    show: (result) => (result.kind === 'settings' ? showSettings(result) : showSuccessor(result)),
  });

function showSuccessor({ pid, programVersion }: HandedOver): string {
  return `handed over to version ${programVersion}, process ${pid}\n`;
}

function showSettings({ changed, needRestart, warnings }: ReloadedSettings): string {
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
