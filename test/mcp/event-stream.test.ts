import { describe, expect, it } from 'bun:test';
import { EventStream, KEEP_ALIVE_MS, type StreamEnd } from '../../app/mcp/event-stream.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { PushSource } from '../support/push-source.ts';

const OPENING = ': open\n\n';
const KEEP_ALIVE = ': keep-alive\n\n';

function open() {
  const clock = new FakeClock();
  const connection = new AbortController();
  const ends: StreamEnd[] = [];
  let alive = 0;
  const source = new PushSource();
  const stream = new EventStream({
    clock,
    signal: connection.signal,
    source,
    onAlive: () => {
      alive += 1;
    },
    onEnd: (end) => ends.push(end),
  });
  const reader = stream.body.getReader();
  const read = async () => {
    const { value, done } = await reader.read();
    return done ? undefined : new TextDecoder().decode(value);
  };
  return { clock, connection, ends, source, reader, read, alive: () => alive };
}

describe('event stream', () => {
  it('sends its first byte at once, so that the headers leave', async () => {
    const { read } = open();
    expect(await read()).toBe(OPENING);
  });

  it('sends a message event with its id and ends after it', async () => {
    const { source, read, ends } = open();
    source.push('{"a":1}');
    source.finish();
    expect(await read()).toBe(OPENING);
    expect(await read()).toBe('id: e1\nevent: message\ndata: {"a":1}\n\n');
    expect(await read()).toBeUndefined();
    expect(ends).toEqual(['closed']);
    expect(source.closed).toBe(true);
  });

  it('T9, T10: sends an event that only tells an id, and when to come back', async () => {
    const { source, read } = open();
    source.push('', { retryMs: 1000 });
    expect(await read()).toBe(OPENING);
    expect(await read()).toBe('id: e1\nretry: 1000\ndata: \n\n');
  });

  it('keeps what a client reads late in its order', async () => {
    const { source, read } = open();
    for (const n of [1, 2, 3]) source.push(String(n));
    source.finish();
    const seen: string[] = [];
    for (let part = await read(); part !== undefined; part = await read()) seen.push(part);
    expect(seen.join('')).toBe(
      `${OPENING}${[1, 2, 3].map((n) => `id: e${n}\nevent: message\ndata: ${n}\n\n`).join('')}`,
    );
  });

  it('takes no event for a client that has not taken the last one', async () => {
    const { source, read } = open();
    for (let n = 0; n < 100; n += 1) source.push('x');
    await read();
    await read();
    expect(source.waiting).toBeGreaterThan(95);
  });

  it('wakes a client that waits already', async () => {
    const { source, read } = open();
    await read();
    const waiting = read();
    source.push('now');
    expect(await waiting).toBe('id: e1\nevent: message\ndata: now\n\n');
  });

  it('sends thousands that wait to a client that reads them all', async () => {
    const { source, reader, read } = open();
    await read();
    for (let n = 0; n < 50_000; n += 1) source.push(String(n));
    source.finish();
    let last = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      last = new TextDecoder().decode(value);
    }
    expect(last).toContain('data: 49999\n');
  });

  for (const end of ['\n', '\r\n', '\r']) {
    it(`cannot be split by ${JSON.stringify(end)} between the tokens of the JSON`, async () => {
      const { source, read } = open();
      source.push(`{"a":1,${end}"b":2}`);
      await read();
      expect(await read()).toBe('id: e1\nevent: message\ndata: {"a":1,\ndata: "b":2}\n\n');
    });
  }

  it('sends a keep-alive comment every period while the client reads', async () => {
    const { clock, read, alive } = open();
    await read();
    for (const n of [1, 2, 3]) {
      const next = read();
      clock.advance(KEEP_ALIVE_MS);
      expect(await next).toBe(KEEP_ALIVE);
      expect(alive()).toBe(n);
    }
  });

  it('piles up no keep-alives for a client that does not read', async () => {
    const { clock, source, read, alive } = open();
    clock.advance(KEEP_ALIVE_MS * 100);
    expect(alive()).toBe(0);
    source.push('answer');
    source.finish();
    expect(await read()).toBe(OPENING);
    expect(await read()).toBe('id: e1\nevent: message\ndata: answer\n\n');
    expect(await read()).toBeUndefined();
  });

  it('breaks off when its source was overrun, so that the client comes back', async () => {
    const { source, ends, clock, reader } = open();
    source.push('x');
    source.overrun();
    expect(ends).toEqual(['full']);
    expect(clock.pending).toBe(0);
    expect(
      await (async () => {
        for (;;) if ((await reader.read()).done) return 'ended';
      })().catch(() => 'broken'),
    ).toBe('broken');
  });

  it('takes a cancelled reader for a client that went away', async () => {
    const { source, reader, ends, clock } = open();
    await reader.cancel();
    expect(ends).toEqual(['gone']);
    expect(source.closed).toBe(true);
    source.push('late');
    source.finish();
    expect(ends).toEqual(['gone']);
    expect(clock.pending).toBe(0);
  });

  it('takes an aborted connection for a client that went away, once', async () => {
    const { source, connection, reader, ends, clock } = open();
    connection.abort();
    await reader.cancel();
    expect(ends).toEqual(['gone']);
    expect(source.closed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('is over before it begins when the connection is gone already', () => {
    const clock = new FakeClock();
    const source = new PushSource();
    const ends: StreamEnd[] = [];
    new EventStream({ clock, signal: AbortSignal.abort(), source, onEnd: (end) => ends.push(end) });
    expect(ends).toEqual(['gone']);
    expect(source.closed).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
