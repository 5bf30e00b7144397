import { connect, type Socket } from 'node:net';

/** A connection to a unix socket on which one request follows the other (HTTP/1.1 keep-alive). */
export class KeptConnection {
  readonly #socket: Socket;
  readonly #host: string;
  /** Resolves when the other side has ended it. */
  readonly ended: Promise<void>;
  #text = '';
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString();
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      socket.once('close', () => resolve());
    });
  }

  static async open(path: string, host: string): Promise<KeptConnection> {
    const socket = connect(path);
    const kept = new KeptConnection(socket, host);
    await new Promise((resolve) => {
      socket.once('connect', resolve);
    });
    return kept;
  }

  /** Sends a GET and gives the head of its answer, whose body has a length and is dropped. */
  async get(path: string): Promise<string> {
    this.#text = '';
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n\r\n`);
    for (;;) {
      const [head, body] = this.#text.split('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(head ?? '')?.[1] ?? Number.NaN);
      if (body !== undefined && Buffer.byteLength(body) >= length) return head ?? '';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
