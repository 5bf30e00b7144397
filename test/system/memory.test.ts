import { afterEach, describe, expect, it, setDefaultTimeout } from 'bun:test';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { lightChild } from '../support/light-child.ts';
import { residentMb } from '../support/processes.ts';
import { RawSession } from '../support/raw-session.ts';
import { accessTokenOf } from '../support/sign-in.ts';

// Thousands of requests one after the other: 5 s on a quiet machine, a minute on a very busy one.
setDefaultTimeout(300_000);

/** Resident set of a broker with this many sessions, each with an open GET stream. */
const STREAMS = 1_000;
const STREAMS_RSS_MB_MAX = 200;

/** Resident set of a broker whose clients do what they should not. */
const RSS_MB_MAX = 160;
const STREAM_BUFFER = '1MiB';
const STREAM_BUFFER_BYTES = 1024 * 1024;

const RECONNECTS = 3_000;
const OPENING_AT_ONCE = 8;

let stage: Stage;

afterEach(() => stage.end());

async function started(childCommand: readonly string[], settings: Record<string, string> = {}) {
  stage = await setStage({
    childCommand,
    settings: {
      LOG_LEVEL: 'info',
      MAX_SESSIONS: String(STREAMS),
      MAX_SESSIONS_PER_USER: String(STREAMS),
      ...settings,
    },
  });
  const broker = await stage.start();
  return { broker, token: await accessTokenOf(stage.mcpUrl) };
}

/** The largest of a few looks, so that a collection between two does not flatter. */
async function peakMb({ pid }: BrokerProcess): Promise<number> {
  let peak = 0;
  for (let look = 0; look < 10; look += 1) {
    peak = Math.max(peak, residentMb(pid));
    await Bun.sleep(50);
  }
  return peak;
}

/** A GET stream over a connection of its own, of which the test decides when it is read. */
async function openStream(session: RawSession) {
  const url = new URL(stage.mcpUrl);
  const opened = Promise.withResolvers<void>();
  let received = 0;
  let ended = false;
  const socket = await Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      data(_socket, chunk) {
        received += chunk.byteLength;
        opened.resolve();
      },
      close() {
        ended = true;
      },
    },
  });
  const headers = Object.entries(session.headers({ accept: 'text/event-stream', host: url.host }));
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  socket.write([`GET ${url.pathname} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
  await opened.promise;
  return { socket, received: () => received, ended: () => ended };
}

describe('memory of the broker', () => {
  it(`stays under ${STREAMS_RSS_MB_MAX} MiB with ${STREAMS} open GET streams`, async () => {
    const { broker, token } = await started(lightChild().command);
    const streams: Awaited<ReturnType<typeof openStream>>[] = [];
    let left = STREAMS;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        streams.push(await openStream(await RawSession.open(stage.mcpUrl, token)));
      }
    };
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, worker));
    const peak = await peakMb(broker);
    expect(streams.some((stream) => stream.ended())).toBe(false);
    expect(peak).toBeLessThan(STREAMS_RSS_MB_MAX);
    for (const { socket } of streams) socket.terminate();
  });

  it(`stays under ${RSS_MB_MAX} MiB while a child talks to a client that stopped reading`, async () => {
    const { broker, token } = await started(fixtureCommand(), {
      MAX_STREAM_BUFFER: STREAM_BUFFER,
    });
    const session = await RawSession.open(stage.mcpUrl, token);
    const { socket } = await openStream(session);
    socket.pause();
    const params = { level: 'info', data: 'x'.repeat(10_000) };
    const text = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params });
    await session.flood({ to: 'stdout', text });
    // Many times what may be kept: the child says it all, and is held back again and again.
    const written = 40 * STREAM_BUFFER_BYTES;
    // The stream of this call carries the flood too, and may be cut off like the other one.
    const flooded = () => session.tool<number>('flooded').catch(() => 0);
    while ((await flooded()) < written) await Bun.sleep(100);
    const peak = await peakMb(broker);
    expect(peak).toBeLessThan(RSS_MB_MAX);
    socket.terminate();
  });

  it(`stays under ${RSS_MB_MAX} MiB over ${RECONNECTS} reconnects of one client`, async () => {
    const { broker, token } = await started(fixtureCommand(), {
      MAX_STREAM_BUFFER: STREAM_BUFFER,
    });
    const session = await RawSession.open(stage.mcpUrl, token);
    const params = { level: 'info', data: 'x'.repeat(1_000) };
    const text = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params });
    await session.flood({ to: 'stdout', text });
    let lastEventId: string | undefined;
    for (let count = 0; count < RECONNECTS; count += 1) {
      const left = new AbortController();
      const stream = await session.listen(left.signal, lastEventId);
      // Half of the times from where it was; an id of an event that is gone begins anew.
      const { value } = (await stream.body?.getReader().read()) ?? {};
      const id = new TextDecoder().decode(value).match(/^id: (\S+)$/m)?.[1];
      lastEventId = count % 2 === 0 ? id : undefined;
      left.abort();
    }
    const peak = await peakMb(broker);
    expect(peak).toBeLessThan(RSS_MB_MAX);
  });
});
