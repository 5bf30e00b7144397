import { connect, createServer, type Socket } from 'node:net';

const HEAD_BYTES_MAX = 64 * 1024;
const END_OF_HEAD = '\r\n\r\n';
const LENGTH_REQUIRED =
  'HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';

export interface BearerProxy {
  /** The same path as the target's, on a loopback port of the proxy, by the name `localhost`. */
  readonly url: string;
  stop(): void;
}

/**
 * A loopback proxy that adds `Authorization: Bearer ...` to each request that has none, because the
 * official suite cannot. It works on the bytes of the connection: every other header (Host and
 * Origin too, which a scenario forges), the order of headers and the answers pass as they are;
 * event streams are not held back; when one side goes away, so does the other.
 */
export async function startBearerProxy(
  target: URL,
  bearer: string,
  port = 0,
): Promise<BearerProxy> {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
    relay(client, target, bearer);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const url = new URL(target);
  url.host = `localhost:${address.port}`;
  return {
    url: url.href,
    stop() {
      for (const client of clients) client.destroy();
      server.close();
    },
  };
}

function relay(client: Socket, target: URL, bearer: string): void {
  const upstream = connect({ host: target.hostname, port: Number(target.port) });
  const requests = new RequestHeads(`authorization: Bearer ${bearer}\r\n`);
  client.on('data', (chunk: Buffer) => {
    const bytes = requests.rewrite(chunk);
    if (bytes !== undefined) upstream.write(bytes);
    else client.end(LENGTH_REQUIRED);
  });
  upstream.pipe(client);
  for (const [side, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    side.on('error', () => side.destroy());
    side.on('close', () => other.destroy());
  }
}

/** Follows the requests of one connection just closely enough to find their heads (RFC 9112). */
class RequestHeads {
  readonly #header: string;
  #head = Buffer.alloc(0);
  #bodyBytesLeft = 0;

  constructor(header: string) {
    this.#header = header;
  }

  /** What to send on; `undefined` for a body without a length, which no client here sends. */
  rewrite(chunk: Buffer): Buffer | undefined {
    const parts: Buffer[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#bodyBytesLeft > 0) {
        const body = rest.subarray(0, this.#bodyBytesLeft);
        this.#bodyBytesLeft -= body.length;
        rest = rest.subarray(body.length);
        parts.push(body);
        continue;
      }
      const gathered = Buffer.concat([this.#head, rest]);
      const end = gathered.indexOf(END_OF_HEAD);
      if (end === -1) {
        if (gathered.length > HEAD_BYTES_MAX) return undefined;
        this.#head = gathered;
        break;
      }
      const head = gathered.toString('latin1', 0, end + END_OF_HEAD.length);
      this.#head = Buffer.alloc(0);
      rest = gathered.subarray(end + END_OF_HEAD.length);
      if (/^transfer-encoding:/im.test(head)) return undefined;
      this.#bodyBytesLeft = Number(head.match(/^content-length:\s*(\d+)/im)?.[1] ?? 0);
      parts.push(Buffer.from(this.#withBearer(head), 'latin1'));
    }
    return Buffer.concat(parts);
  }

  #withBearer(head: string): string {
    if (/^authorization:/im.test(head)) return head;
    const endOfLine = head.indexOf('\r\n') + 2;
    return head.slice(0, endOfLine) + this.#header + head.slice(endOfLine);
  }
}
