import { describe, expect, it } from 'bun:test';
import { EventStream, KEEP_ALIVE_MS, type StreamEnd } from '../../app/mcp/event-stream.ts';
import { FakeClock } from '../support/fake-clock.ts';

const OPENING = ': open\n\n';
const KEEP_ALIVE = ': keep-alive\n\n';

function open(bufferBytesMax = 1000) {
  const clock = new FakeClock();
  const connection = new AbortController();
  const ends: StreamEnd[] = [];
  let alive = 0;
  const stream = new EventStream({
    clock,
    signal: connection.signal,
    bufferBytesMax,
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
  return { clock, connection, ends, stream, reader, read, alive: () => alive };
}

describe('event stream', () => {
  it('sends its first byte at once, so that the headers leave', async () => {
    const { read } = open();
    expect(await read()).toBe(OPENING);
  });

  it('sends a message event and ends after it', async () => {
    const { stream, read, ends } = open();
    expect(stream.send('{"a":1}')).toBe('sent');
    stream.close();
    expect(await read()).toBe(OPENING);
    expect(await read()).toBe('event: message\ndata: {"a":1}\n\n');
    expect(await read()).toBeUndefined();
    expect(ends).toEqual(['closed']);
  });

  it('keeps what a client reads late in its order', async () => {
    const { stream, read } = open();
    for (const n of [1, 2, 3]) stream.send(String(n));
    stream.close();
    const seen: string[] = [];
    for (let part = await read(); part !== undefined; part = await read()) seen.push(part);
    expect(seen.join('')).toBe(
      `${OPENING}${[1, 2, 3].map((n) => `event: message\ndata: ${n}\n\n`).join('')}`,
    );
  });

  it('wakes a client that waits already', async () => {
    const { stream, read } = open();
    await read();
    const waiting = read();
    stream.send('now');
    expect(await waiting).toBe('event: message\ndata: now\n\n');
  });

  for (const end of ['\n', '\r\n', '\r']) {
    it(`cannot be split by ${JSON.stringify(end)} between the tokens of the JSON`, async () => {
      const { stream, read } = open();
      stream.send(`{"a":1,${end}"b":2}`);
      await read();
      expect(await read()).toBe('event: message\ndata: {"a":1,\ndata: "b":2}\n\n');
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
    const { clock, stream, read, alive } = open();
    clock.advance(KEEP_ALIVE_MS * 100);
    expect(alive()).toBe(0);
    stream.send('answer');
    stream.close();
    expect(await read()).toBe(OPENING);
    expect(await read()).toBe('event: message\ndata: answer\n\n');
    expect(await read()).toBeUndefined();
  });

  it('buffers up to its limit and ends one byte beyond it', async () => {
    const frame = 'event: message\ndata: \n\n'.length;
    const { stream, ends, clock } = open(2 * frame + 20);
    expect(stream.send('x'.repeat(10))).toBe('sent');
    expect(stream.send('x'.repeat(10))).toBe('sent');
    expect(stream.send('')).toBe('full');
    expect(ends).toEqual(['full']);
    expect(stream.send('x')).toBe('gone');
    expect(clock.pending).toBe(0);
  });

  it('sends a single event of any size', async () => {
    const { stream, read } = open(10);
    expect(stream.send('x'.repeat(100_000))).toBe('sent');
    await read();
    expect((await read())?.length).toBeGreaterThan(100_000);
  });

  it('takes a cancelled reader for a client that went away', async () => {
    const { stream, reader, ends, clock } = open();
    await reader.cancel();
    expect(ends).toEqual(['gone']);
    expect(stream.send('late')).toBe('gone');
    stream.close();
    expect(ends).toEqual(['gone']);
    expect(clock.pending).toBe(0);
  });

  it('takes an aborted connection for a client that went away, once', async () => {
    const { stream, connection, reader, ends, clock } = open();
    connection.abort();
    await reader.cancel();
    expect(ends).toEqual(['gone']);
    expect(stream.send('late')).toBe('gone');
    expect(clock.pending).toBe(0);
  });

  it('is over before it begins when the connection is gone already', () => {
    const connection = AbortSignal.abort();
    const clock = new FakeClock();
    const stream = new EventStream({ clock, signal: connection, bufferBytesMax: 10 });
    expect(stream.send('late')).toBe('gone');
    expect(clock.pending).toBe(0);
  });

  it('sends nothing after it was closed', async () => {
    const { stream, read, ends } = open();
    stream.close();
    stream.close();
    expect(stream.send('late')).toBe('gone');
    expect(await read()).toBe(OPENING);
    expect(await read()).toBeUndefined();
    expect(ends).toEqual(['closed']);
  });
});
