import type { Shown, ShownSession } from '../control/protocol.ts';
import { askBroker } from './ask-broker.ts';
import type { Command } from './command.ts';
import { shownAge, shownList } from './shown.ts';

const HEADING = ['SESSION', 'LOGIN', 'CLIENT', 'CLIENT ID', 'PROGRAM', 'CALLS', 'OPENED', 'USED'];

/** Lists the sessions of the running broker, the latest used first. */
export const sessions: Command = (context) =>
  askBroker(context, {
    action: 'sessions',
    question: ({ texts: { login, client } }) => ({
      action: 'sessions',
      filter: { login, clientId: client },
    }),
    show,
  });

function show(list: Shown<ShownSession>, nowMs: number): string {
  const running = list.rows.filter(({ pid }) => pid !== null).length;
  return shownList(list, {
    noun: 'session',
    heading: HEADING,
    cells: (row) => [
      row.id,
      row.login,
      row.clientName,
      row.clientId,
      row.pid === null ? '-' : `pid ${row.pid}`,
      String(row.callsWaiting),
      shownAge(row.createdAt, nowMs),
      shownAge(row.lastUsedAt, nowMs),
    ],
    aside: `, ${running} with a program`,
  });
}
