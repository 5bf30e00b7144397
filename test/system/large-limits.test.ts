import { afterAll, beforeAll, describe, expect, it } from 'bun:test';
import { connect } from 'node:net';
import { startSystem, type TestSystem } from '../support/system.ts';

const MIB = 1024 * 1024;

let system: TestSystem;

beforeAll(async () => {
  system = await startSystem({ config: { maxBodyBytes: 128 * MIB } });
});

afterAll(async () => {
  await system.stop();
});

/** The status line that a declared body of so many bytes gets, before any of it is sent. */
function statusLineFor(byteCount: number): Promise<string> {
  const { hostname, port } = new URL(system.origin);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString().split('\r\n')[0] ?? '');
    });
    socket.write(
      `POST /mcp HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${byteCount}\r\n\r\n`,
    );
  });
}

describe('a MAX_BODY beyond what the runtime takes by itself', () => {
  it('is the limit: a body at it, and one beyond, meet the broker and not the runtime', async () => {
    for (const byteCount of [100 * MIB, 128 * MIB, 128 * MIB + 1]) {
      expect(await statusLineFor(byteCount)).toBe('HTTP/1.1 401 Unauthorized');
    }
  });
});
