import type { Shown, ShownGrant, ShownLimits } from '../control/protocol.ts';
import { askBroker } from './ask-broker.ts';
import type { Command } from './command.ts';
import { shownAge, shownCount, shownList } from './shown.ts';

const HEADING = [
  'GRANT',
  'LOGIN',
  'ACCOUNT',
  'CLIENT',
  'CLIENT ID',
  'SCOPE',
  'ONLY',
  'GIVEN',
  'USED',
];

/** Lists what people have allowed clients and not ended, the latest used first. */
export const grants: Command = (context) =>
  askBroker(context, {
    action: 'grants',
    question: ({ texts: { login, client } }) => ({
      action: 'grants',
      filter: { login, clientId: client },
    }),
    show,
  });

function show(list: Shown<ShownGrant>, nowMs: number): string {
  return shownList(list, {
    noun: 'grant',
    heading: HEADING,
    cells: (row) => [
      row.id,
      row.login,
      row.accountState.replaceAll('_', ' '),
      row.clientName,
      row.clientId,
      // The largest; it holds the others.
      row.scope.split(' ').at(-1) ?? '',
      shownLimits(row.limits),
      shownAge(row.createdAt, nowMs),
      shownAge(row.lastUsedAt, nowMs),
    ],
  });
}

/** How far a person has narrowed it; which tools and which places, `--json` tells. */
function shownLimits(limits: ShownLimits | null): string {
  const count = (list: readonly string[] | 'all' = 'all', noun: string) =>
    list === 'all' ? [] : [shownCount(list.length, noun)];
  return [...count(limits?.toolsets, 'toolset'), ...count(limits?.targets, 'place')].join(', ');
}
