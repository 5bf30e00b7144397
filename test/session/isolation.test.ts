import { describe, expect, it, setDefaultTimeout } from 'bun:test';
import fc from 'fast-check';
import type { EventSource, OwnedSession, PostedCalls } from '../../app/session/registry.ts';
import type { FakeChild } from '../support/fake-child.ts';
import {
  bench,
  initialize,
  notification,
  owner,
  request,
  response,
  settled,
} from '../support/session-registry.ts';

setDefaultTimeout(300_000);

const CASES = 1_000;
const STEPS = { minLength: 40, maxLength: 120, size: 'max' } as const;
const SESSIONS = 4;

/** Ids and tokens that every session uses at once, and those that the broker itself gives out. */
const COLLIDING = [0, 1, 2, 3, 4, '1', '2', 'x', 'fjmcp-1', 'fjmcp-2', 'fjmcp-3'];

/** One session with everything that its client and its child have received. */
interface Party {
  readonly mark: string;
  readonly session: OwnedSession;
  readonly child: FakeChild;
  readonly calls: { readonly id: string | number; readonly posted: PostedCalls }[];
  readonly sources: EventSource[];
  readonly received: string[];
  readonly eventIds: string[];
}

const collides = fc.constantFrom(...COLLIDING);
const party = fc.nat(SESSIONS - 1);

/** What clients and children do, with ids as bad as they can be chosen. */
const step = fc.oneof(
  fc.record({ act: fc.constant('call' as const), by: party, id: collides, token: collides }),
  fc.record({ act: fc.constant('read' as const), by: party, id: collides, token: collides }),
  fc.record({ act: fc.constant('listen' as const), by: party, id: collides, token: collides }),
  fc.record({ act: fc.constant('resume' as const), by: party, id: fc.nat(9), token: party }),
  fc.record({ act: fc.constant('respond' as const), by: party, id: collides, token: collides }),
  fc.record({ act: fc.constant('cancel' as const), by: party, id: collides, token: collides }),
  fc.record({
    act: fc.constant('childAnswers' as const),
    by: party,
    id: collides,
    token: collides,
  }),
  fc.record({ act: fc.constant('childTells' as const), by: party, id: collides, token: collides }),
  fc.record({ act: fc.constant('childAsks' as const), by: party, id: collides, token: collides }),
  fc.record({
    act: fc.constant('childCancels' as const),
    by: party,
    id: collides,
    token: collides,
  }),
  fc.record({ act: fc.constant('childLogs' as const), by: party, id: collides, token: collides }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

describe('sessions side by side', () => {
  it('[GHSA-345p-7cg4-v4c7] P8: no byte of one ever reaches another', async () => {
    let checked = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, STEPS), async (steps) => {
        const parties = await openParties();
        for (const one of steps) {
          take(one, parties);
          // Answers take their way in the turns between.
          await Promise.resolve();
        }
        await settled();
        for (const one of parties) {
          for (const source of one.sources) drain(one, source);
          for (const text of [...one.received, ...one.child.sent]) {
            checked += expectOnly(text, one.mark);
          }
        }
        for (const one of parties) await one.session.end('test');
        for (const { calls, mark } of parties) await expectAnswers(calls, mark);
      }),
      { numRuns: CASES },
    );
    // Messages did pass, in both directions and through resumed streams.
    expect(checked).toBeGreaterThan(10 * CASES);
  });
});

async function openParties(): Promise<Party[]> {
  const { registry, supervisor } = bench();
  const parties: Party[] = [];
  for (let n = 0; n < SESSIONS; n += 1) {
    // Two of them are even of one person.
    const opened = await registry.open(owner(n >> 1, `client-${n}`), initialize());
    if (!opened.ok) throw new Error('no session');
    const { session } = opened.value;
    session.notify(notification('notifications/initialized'));
    parties.push({
      ...{ mark: `mark-${n}-of-this-session`, session, child: supervisor.last },
      ...{ calls: [], sources: [], received: [], eventIds: [] },
    });
  }
  return parties;
}

function take(one: Step, parties: readonly Party[]): void {
  const by = parties[one.by]!;
  const { session, child, mark } = by;
  const says = (message: object) => child.says({ jsonrpc: '2.0', ...message });
  const _meta = { progressToken: one.token };
  switch (one.act) {
    case 'call':
      by.calls.push({
        id: one.id,
        posted: session.call(request('tools/call', one.id, { mark, _meta })),
      });
      return;
    case 'read':
      for (const { posted } of by.calls.slice(-1)) by.sources.push(posted.read());
      return;
    case 'listen': {
      const listening = session.listen();
      if (listening.kind === 'events') by.sources.push(listening.source);
      return;
    }
    case 'resume': {
      // An event id of any session, most often of another one.
      const of = parties[Number(one.token)]!;
      for (const source of of.sources) drain(of, source);
      const id = of.eventIds.at(Number(one.id) % Math.max(1, of.eventIds.length));
      if (id === undefined) return;
      const listening = session.listen(id);
      if (of !== by) expect(listening.kind).toBe('unknown');
      if (listening.kind === 'events') by.sources.push(listening.source);
      return;
    }
    case 'respond':
      session.notify(response(one.id, { result: { mark } }));
      return;
    case 'cancel':
      session.notify(notification('notifications/cancelled', { requestId: one.id, reason: mark }));
      return;
    case 'childAnswers':
      says({ id: one.id, result: { mark } });
      return;
    case 'childTells':
      says({ method: 'notifications/progress', params: { progressToken: one.token, mark } });
      return;
    case 'childAsks':
      says({ id: one.id, method: 'sampling/createMessage', params: { mark, _meta } });
      return;
    case 'childCancels':
      says({ method: 'notifications/cancelled', params: { requestId: one.id, reason: mark } });
      return;
    case 'childLogs':
      says({ method: 'notifications/message', params: { level: 'info', data: mark } });
      return;
  }
}

function drain(by: Party, source: EventSource): void {
  for (let event = source.next(); event !== undefined; event = source.next()) {
    by.received.push(event.data);
    by.eventIds.push(event.id);
  }
}

/** How many marks stand in the text; each must be this one. */
function expectOnly(text: string, mark: string): number {
  const found = text.match(/mark-\d+-of-this-session/g) ?? [];
  expect(found.filter((one) => one !== mark)).toEqual([]);
  return found.length;
}

async function expectAnswers(calls: Party['calls'], mark: string): Promise<void> {
  for (const { id, posted } of calls) {
    const text = await posted.answer;
    expect(JSON.parse(text).id).toBe(id);
    expectOnly(text, mark);
  }
}
