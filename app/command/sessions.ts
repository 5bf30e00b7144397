import type { Shown, ShownSession } from '../control/protocol.ts';
import { askBroker } from './ask-broker.ts';
import type { Command } from './command.ts';
import { shownAge, shownCount, shownTable } from './shown.ts';

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

function show({ rows, more }: Shown<ShownSession>, nowMs: number): string {
  if (rows.length === 0) return 'no sessions\n';
  const table = shownTable(
    HEADING,
    rows.map((row) => [
      row.id,
      row.login,
      row.clientName,
      row.clientId,
      row.pid === null ? '-' : `pid ${row.pid}`,
      String(row.callsWaiting),
      shownAge(row.createdAt, nowMs),
      shownAge(row.lastUsedAt, nowMs),
    ]),
  );
  const running = rows.filter(({ pid }) => pid !== null).length;
  const tail = more ? ', and more that are not shown' : '';
  return `${table}${shownCount(rows.length, 'session')}, ${running} with a program${tail}\n`;
}
