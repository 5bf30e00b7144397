import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';
import { digestOf, systemRandom } from '../../app/base/secret.ts';
import { createEventIds, SEALED_IDS_MAX } from '../../app/session/event-id.ts';
import { EVENT_OVERHEAD_BYTES } from '../../app/session/event-ring.ts';
import { type EventSource, RETRY_MS } from '../../app/session/event-source.ts';
import { Streams } from '../../app/session/streams.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { STREAM_AGE_MS, testKeyring } from '../support/session-registry.ts';

function setUp(options: { bytes?: number; version?: string } = {}) {
  const clock = new FakeClock();
  const metrics = createMetrics();
  const keyring = testKeyring();
  const codec = createEventIds(keyring, systemRandom);
  const ids = codec(digestOf('session'));
  const streams = new Streams({
    ...{ clock, metrics, eventIds: ids },
    streamBufferBytesMax: options.bytes ?? 1024 * 1024,
    streamAgeMsMax: STREAM_AGE_MS,
  });
  streams.protocolVersion = options.version ?? '2025-11-25';
  const resume = (id: string) => {
    const listening = streams.listen(id);
    return listening.kind === 'events' ? listening.source : listening.kind;
  };
  return { clock, metrics, keyring, codec, ids, streams, resume };
}

/** Everything that can be read now. */
function take(source: EventSource | string) {
  if (typeof source === 'string') throw new Error(`no events but ${source}`);
  const events = [];
  for (let event = source.next(); event !== undefined; event = source.next()) events.push(event);
  return events;
}

const dataOf = (source: EventSource | string) => take(source).map(({ data }) => data);

function listen(streams: Streams): EventSource {
  const listening = streams.listen(undefined);
  if (listening.kind !== 'events') throw new Error('nobody listens');
  return listening.source;
}

describe('event ids (MCP transports, Resumability)', () => {
  it('T16: are unique in the session, over all of its streams', () => {
    const { streams } = setUp();
    const seen = new Set<string>();
    for (const stream of [streams.listening, streams.open([1]), streams.open([1])]) {
      stream.push('a');
      stream.push('b');
      for (const { id } of take(stream.read())) seen.add(id);
    }
    expect(seen.size).toBe(9);
  });

  it('T16: are visible ASCII on one line, whatever the ids of requests are', () => {
    const { streams } = setUp();
    const stream = streams.open(['ž\n\0"', 7]);
    stream.push('a', true);
    for (const { id } of take(stream.read())) expect(id).toMatch(/^[\x21-\x7e]{1,200}$/);
  });

  it('T17: seal the ids of the requests, bound to session and stream', () => {
    const { ids, codec } = setUp();
    const id = ids.format(3, 9, false, ids.seal(3, ['secret', 7]));
    expect(id).not.toContain('secret');
    expect(ids.parse(id)).toEqual({
      ...{ ownRun: true, stream: 3, sequence: 9, last: false, requestIds: ['secret', 7] },
    });
    expect(codec(digestOf('other session')).parse(id)).toBeUndefined();
    const [run, , sequence, seal] = id.split('.');
    expect(ids.parse([run, 4, sequence, seal].join('.'))).toBeUndefined();
  });

  it('T17: are known again by another run with the same key, as of an earlier one', () => {
    const { ids, keyring } = setUp();
    const later = createEventIds(keyring, systemRandom)(digestOf('session'));
    const id = ids.format(3, 9, false, ids.seal(3, [7]));
    expect(later.parse(id)).toMatchObject({ ownRun: false, stream: 3, requestIds: [7] });
    const otherKey = createEventIds(testKeyring(), systemRandom)(digestOf('session'));
    expect(otherKey.parse(id)).toBeUndefined();
  });

  for (const text of ['', 'x', '1-2', 'a.b.c.d', `12345678.1.1.${'x'.repeat(2000)}`, '0\n0']) {
    it(`T17: are refused when they are ${JSON.stringify(text.slice(0, 20))}`, () => {
      expect(setUp().ids.parse(text)).toBeUndefined();
    });
  }

  it('say nothing of request ids that are longer than an event id may be', () => {
    const { ids } = setUp();
    const of = (length: number) =>
      ids.parse(ids.format(1, 1, false, ids.seal(1, ['x'.repeat(length - 4)])))?.requestIds.length;
    expect(of(SEALED_IDS_MAX)).toBe(1);
    expect(of(SEALED_IDS_MAX + 1)).toBe(0);
  });
});

describe('events that were dropped before anybody took them', () => {
  it('T16: leave the listening stream open to what comes afterwards', () => {
    const { clock, streams } = setUp({ version: '2025-06-18' });
    streams.listening.push('nobody listens');
    clock.advance(STREAM_AGE_MS);
    const source = listen(streams);
    streams.listening.push('heard');
    expect(dataOf(source)).toEqual(['heard']);
  });

  it('T16: leave a stream that is resumed open to its answer', () => {
    const { clock, streams, resume } = setUp({ version: '2025-06-18' });
    const stream = streams.open([1]);
    const first = stream.read();
    stream.push('one');
    const [event] = take(first);
    first.close();
    stream.push('lost');
    clock.advance(STREAM_AGE_MS);
    const source = resume(event?.id ?? '');
    stream.push('answer', true);
    expect(dataOf(source)).toEqual(['answer']);
    expect((source as EventSource).state).toBe('ended');
  });
});

describe('the first event', () => {
  it('T9, T10: only tells an id and when to come back, since 2025-11-25', () => {
    const { streams } = setUp();
    const stream = streams.open([1]);
    stream.push('answer', true);
    const [first, second] = take(stream.read());
    expect(first).toMatchObject({ data: '', retryMs: RETRY_MS });
    expect(second?.data).toBe('answer');
  });

  for (const version of ['2025-03-26', '2025-06-18']) {
    it(`T9: is a message in ${version}, whose clients stumble over empty data`, () => {
      const { streams } = setUp({ version });
      expect(listen(streams).next()).toBeUndefined();
      const stream = streams.open([1]);
      stream.push('answer', true);
      expect(dataOf(stream.read())).toEqual(['answer']);
    });
  }

  it('T9: leads to everything that came after it', () => {
    const { streams, resume } = setUp();
    const stream = streams.open([1]);
    const priming = stream.read().next();
    stream.push('progress');
    stream.push('answer', true);
    expect(dataOf(resume(priming?.id ?? ''))).toEqual(['progress', 'answer']);
  });
});

describe('a stream that broke off', () => {
  it('T17: goes on behind the event that the client has, and then live', () => {
    const { streams, resume } = setUp();
    const stream = streams.open([1]);
    stream.push('one');
    stream.push('two');
    const [, one] = take(stream.read());
    const again = resume(one?.id ?? '');
    expect(dataOf(again)).toEqual(['two']);
    stream.push('three', true);
    expect(dataOf(again)).toEqual(['three']);
    expect((again as EventSource).state).toBe('ended');
  });

  it('T15, T17: gives nothing of another stream', () => {
    const { streams, resume } = setUp();
    const mine = streams.open([1]);
    const other = streams.open([2]);
    mine.push('mine');
    const [, first] = take(mine.read());
    other.push('of the other');
    streams.listening.push('unasked');
    mine.push('mine too', true);
    expect(dataOf(resume(first?.id ?? ''))).toEqual(['mine too']);
  });

  it('T12: goes on without any connection', () => {
    const { streams, resume } = setUp();
    const stream = streams.open([1]);
    const source = stream.read();
    const priming = source.next();
    source.close();
    stream.push('progress');
    stream.push('answer', true);
    expect(dataOf(resume(priming?.id ?? ''))).toEqual(['progress', 'answer']);
  });

  it('T17: has nothing left behind its last event, also when it is forgotten', () => {
    const { streams, resume, clock } = setUp();
    const stream = streams.open([1]);
    stream.push('answer', true);
    const last = take(stream.read()).at(-1);
    expect(resume(last?.id ?? '')).toBe('nothing');
    clock.advance(STREAM_AGE_MS);
    expect(resume(last?.id ?? '')).toBe('nothing');
  });

  it('T17: has nothing left when it ended without a word', () => {
    const { streams, resume } = setUp();
    const stream = streams.open([1]);
    const source = stream.read();
    const priming = source.next();
    stream.finish();
    expect(take(source)).toEqual([]);
    expect(source.state).toBe('ended');
    expect(resume(priming?.id ?? '')).toBe('nothing');
  });

  it('T17: is answered with an error for each request when it is forgotten', () => {
    const { streams, resume, clock } = setUp();
    const stream = streams.open(['a', 2]);
    const priming = stream.read().next();
    stream.push('answer', true);
    clock.advance(STREAM_AGE_MS - 1);
    expect(dataOf(resume(priming?.id ?? ''))).toEqual(['answer']);
    clock.advance(1);
    const events = take(resume(priming?.id ?? ''));
    expect(events.map(({ data }) => JSON.parse(data))).toMatchObject([
      { id: 'a', error: { code: -32000 } },
      { id: 2, error: { code: -32000 } },
    ]);
    expect(resume(events.at(-1)?.id ?? '')).toBe('nothing');
  });

  it('T17: of an id that is none gives nothing at all', () => {
    expect(setUp().resume('1.2.3.4')).toBe('unknown');
  });

  it('T15: is taken over by the newest connection alone', () => {
    const { streams, resume } = setUp();
    const stream = streams.open([1]);
    const first = stream.read();
    const priming = first.next();
    let ended = 0;
    first.onChange(() => {
      ended += 1;
    });
    const second = resume(priming?.id ?? '') as EventSource;
    expect(first.state).toBe('ended');
    expect(ended).toBe(1);
    stream.push('answer', true);
    expect(first.next()).toBeUndefined();
    expect(dataOf(second)).toEqual(['answer']);
  });
});

describe('the listening stream', () => {
  it('T13: gives out what came while nobody listened, once', () => {
    const { streams } = setUp();
    streams.listening.push('early');
    const first = listen(streams);
    expect(dataOf(first)).toEqual(['', 'early']);
    expect(dataOf(listen(streams))).toEqual(['']);
  });

  it('T15: is taken over by a second one, which gets what comes from then on', () => {
    const { streams } = setUp();
    const first = listen(streams);
    const second = listen(streams);
    take(second);
    streams.listening.push('now');
    expect(first.state).toBe('ended');
    expect(take(first)).toEqual([]);
    expect(dataOf(second)).toEqual(['now']);
  });

  it('T17: starts afresh for an event of an earlier run of the broker', () => {
    const { streams, resume, keyring } = setUp();
    const earlier = createEventIds(keyring, systemRandom)(digestOf('session'));
    streams.listening.push('kept');
    expect(dataOf(resume(earlier.format(0, 9, false, earlier.seal(0, []))))).toContain('kept');
  });

  it('ends with the session, and leaves no timer', () => {
    const { streams, clock } = setUp();
    streams.listening.push('unread');
    const source = listen(streams);
    expect(take(source)).toHaveLength(2);
    streams.end();
    source.next();
    expect(source.state).toBe('ended');
    expect(clock.pending).toBe(0);
  });
});

describe('MAX_STREAM_BUFFER', () => {
  const event = (bytes: number) => 'x'.repeat(bytes - EVENT_OVERHEAD_BYTES);

  it('keeps as much as it says and drops the oldest beyond it', async () => {
    const { streams, metrics } = setUp({ bytes: 4000 });
    const dropped = () => metrics.registry.getSingleMetricAsString('fjmcp_limits_reached_total');
    for (let n = 0; n < 4; n += 1) streams.listening.push(event(1000));
    expect(dataOf(listen(streams))).toHaveLength(5);
    for (let n = 0; n < 5; n += 1) streams.listening.push(event(800));
    expect(dataOf(listen(streams))).toHaveLength(6);
    // Delivered ones make room without a word.
    expect(await dropped()).not.toContain('MAX_STREAM_BUFFER');
    for (let n = 0; n < 4; n += 1) streams.listening.push(event(800));
    streams.listening.push(event(801));
    expect(await dropped()).toContain('{limit="MAX_STREAM_BUFFER"} 1');
    expect(dataOf(listen(streams))).toHaveLength(5);
  });

  it('counts characters of several bytes as such', () => {
    const { streams } = setUp({ bytes: 2 * EVENT_OVERHEAD_BYTES + 9 });
    streams.listening.push('žž🐎');
    streams.listening.push('');
    expect(dataOf(listen(streams))).toEqual(['', 'žž🐎', ''].slice(0, 3));
  });

  it('breaks off a connection that is too slow for it, which may come back for the rest', () => {
    const { streams, resume } = setUp({ bytes: 4000 });
    const stream = streams.open([1]);
    const source = stream.read();
    const priming = source.next();
    for (let n = 0; n < 5; n += 1) stream.push(event(1000));
    expect(source.state).toBe('overrun');
    expect(source.next()).toBeUndefined();
    expect(take(resume(priming?.id ?? ''))).toHaveLength(4);
  });

  it('delivers a single message of any size to a client that listens', () => {
    const { streams } = setUp({ bytes: 1000 });
    const source = listen(streams);
    take(source);
    streams.listening.push('x'.repeat(100_000));
    expect(dataOf(source)).toEqual(['x'.repeat(100_000)]);
    streams.open([1]).push('y'.repeat(100_000), true);
  });

  it('delivers it also as the first one of a POST, which is about to be read', () => {
    const { streams } = setUp({ bytes: 1000 });
    const stream = streams.open([1]);
    stream.push('x'.repeat(100_000), true);
    expect(dataOf(stream.read())).toEqual(['', 'x'.repeat(100_000)]);
  });

  it('keeps none of that size for a client that does not listen', () => {
    const { streams } = setUp({ bytes: 1000 });
    streams.listening.push('x'.repeat(100_000));
    expect(dataOf(listen(streams))).toEqual(['']);
  });

  it('is one for all streams of a session', () => {
    const { streams } = setUp({ bytes: 4000, version: '2025-06-18' });
    const stream = streams.open([1]);
    stream.push(event(1000));
    for (let n = 0; n < 4; n += 1) streams.listening.push(event(1000));
    expect(take(stream.read())).toEqual([]);
    expect(take(listen(streams))).toHaveLength(4);
  });

  it('keeps events for five minutes and not longer', () => {
    const { streams, clock } = setUp({ version: '2025-06-18' });
    streams.listening.push('one');
    clock.advance(1000);
    streams.listening.push('two');
    clock.advance(STREAM_AGE_MS - 1000);
    expect(dataOf(listen(streams))).toEqual(['two']);
    clock.advance(STREAM_AGE_MS);
    expect(clock.pending).toBe(0);
  });
});
