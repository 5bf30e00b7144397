import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { heldPort } from '../support/system.ts';

const TEMPLATES = fileURLToPath(new URL('../../caddy', import.meta.url));
const HOST = 'mcp.localhost';

export interface Answer {
  /** 0 when there was none. */
  readonly status: number;
  /** In lower case. */
  readonly head: string;
  readonly body: string;
}

/** Longer than any wait of Caddy's own. */
const ANSWER_SECONDS_MAX = '60';

/** The shipped Caddyfile and site under a real Caddy on loopback, before a broker that is played. */
export interface Edge {
  readonly origin: string;
  readonly plainPort: number;
  readonly port: number;
  /** Asks Caddy through curl, which can say any Host and speaks TLS to a private authority. */
  readonly ask: (...argv: string[]) => Promise<Answer>;
  /** The same, and hangs up as soon as the body holds `part`. */
  readonly askUntil: (part: string, ...argv: string[]) => Promise<Answer>;
  /** The lines that Caddy has logged so far, once one of them holds `part`. */
  readonly logWith: (part: string) => Promise<string>;
  /** Ends the broker, or starts it again. */
  readonly broker: (answer: ((request: Request) => Response | Promise<Response>) | null) => void;
  readonly stop: () => Promise<void>;
}

export async function startEdge(): Promise<Edge> {
  const directory = mkdtempSync(join(tmpdir(), 'fje-'));
  const [port, plainPort] = freePorts();
  const origin = `https://${HOST}:${port}`;
  const socket = join(directory, 'http.sock');
  const config = furnish(directory, { port, plainPort, origin, socket });
  const caddy = Bun.spawn(['caddy', 'run', '--adapter', 'caddyfile', '--config', config], {
    env: { PATH: process.env.PATH ?? '', HOME: directory, XDG_DATA_HOME: directory },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(join(directory, 'log')),
  });
  const root = join(directory, 'caddy/pki/authorities/local/root.crt');
  const log = () => readFileSync(join(directory, 'log'), 'utf8').split('\n').slice(0, -1);
  const until = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) {
      if (caddy.exitCode !== null) throw new Error(`Caddy has ended:\n${log().join('\n')}`);
      await Bun.sleep(10);
    }
  };
  await until(() => existsSync(root));
  // It listens before it has the certificate, and refuses handshakes until then (measured: 20 ms).
  await until(async () => (await ask(['--cacert', root, `${origin}/metrics`])).status === 404);
  let broker: Bun.Server<undefined> | undefined;
  return {
    origin,
    port,
    plainPort,
    logWith: async (part) => {
      await until(() => log().some((line) => line.includes(part)));
      return log().join('\n');
    },
    ask: (...argv) => ask(['--cacert', root, ...argv]),
    askUntil: (part, ...argv) => ask(['--no-buffer', '--cacert', root, ...argv], part),
    broker: (answer) => {
      broker?.stop(true);
      broker = answer === null ? undefined : Bun.serve({ unix: socket, fetch: answer });
    },
    stop: async () => {
      await broker?.stop(true);
      caddy.kill();
      await caddy.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function furnish(
  directory: string,
  at: { port: number; plainPort: number; origin: string; socket: string },
): string {
  mkdirSync(join(directory, 'admin'));
  const site = readFileSync(join(TEMPLATES, 'fjmcp-broker.caddy'), 'utf8')
    .replaceAll('@HOST@', HOST)
    .replaceAll('@ORIGIN@', at.origin)
    .replace('@TLS@', 'tls internal')
    .replaceAll('unix//run/fjmcp-broker/edge/http.sock', `unix/${at.socket}`);
  writeFileSync(join(directory, 'site.caddy'), site);
  const main = readFileSync(join(TEMPLATES, 'Caddyfile'), 'utf8')
    .replace('unix//run/caddy/admin.sock', `unix/${join(directory, 'admin/socket')}`)
    .replace('/etc/caddy/fjmcp-broker.caddy', join(directory, 'site.caddy'))
    .replace(
      'servers {',
      `http_port ${at.plainPort}\n\thttps_port ${at.port}\n\tskip_install_trust\n\tservers {`,
    );
  writeFileSync(join(directory, 'Caddyfile'), main);
  return join(directory, 'Caddyfile');
}

async function ask(argv: readonly string[], part?: string): Promise<Answer> {
  const limits = ['--noproxy', '*', '--max-time', ANSWER_SECONDS_MAX];
  const child = Bun.spawn(['curl', '-sS', '-i', ...limits, ...argv], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const decoder = new TextDecoder();
  let out = '';
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true });
    if (part !== undefined && answerIn(out).body.includes(part)) child.kill();
  }
  await child.exited;
  return answerIn(out);
}

function answerIn(out: string): Answer {
  const end = out.indexOf('\r\n\r\n');
  const head = out.slice(0, Math.max(end, 0)).toLowerCase();
  const status = Number(head.match(/^http\/[\d.]+ (\d+)/)?.[1] ?? 0);
  return { status, head, body: end < 0 ? '' : out.slice(end + 4) };
}

/** Two, and never the same twice: each is held while the other is looked for. */
function freePorts(): [number, number] {
  const [one, other] = [heldPort(), heldPort()];
  one.release();
  other.release();
  return [one.port, other.port];
}
