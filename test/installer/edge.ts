import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TEMPLATES = fileURLToPath(new URL('../../caddy', import.meta.url));
const HOST = 'mcp.localhost';

/** The shipped Caddyfile and site under a real Caddy on loopback, before a broker that is played. */
export interface Edge {
  readonly origin: string;
  readonly plainPort: number;
  readonly port: number;
  /** Asks Caddy through curl, which can say any Host and speaks TLS to a private authority. */
  readonly ask: (...argv: string[]) => Promise<{ status: number; head: string; body: string }>;
  /** What Caddy has logged so far. */
  readonly log: () => string;
  /** Ends the broker, or starts it again. */
  readonly broker: (answer: ((request: Request) => Response | Promise<Response>) | null) => void;
  readonly stop: () => Promise<void>;
}

export async function startEdge(): Promise<Edge> {
  const directory = mkdtempSync(join(tmpdir(), 'fje-'));
  const [port, plainPort] = [freePort(), freePort()];
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
  const log = () => readFileSync(join(directory, 'log'), 'utf8');
  await until(() => log().includes('serving initial configuration'));
  let broker: Bun.Server<undefined> | undefined;
  return {
    origin,
    port,
    plainPort,
    log,
    ask: (...argv) => ask(['--cacert', root, ...argv]),
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

async function ask(argv: readonly string[]) {
  const child = Bun.spawn(['curl', '-sS', '-i', '--noproxy', '*', '--max-time', '20', ...argv], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  const end = out.indexOf('\r\n\r\n');
  const head = out.slice(0, end).toLowerCase();
  const status = Number(head.match(/^http\/[\d.]+ (\d+)/)?.[1] ?? 0);
  return { status, head, body: end < 0 ? '' : out.slice(end + 4) };
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries += 1) {
    if (tries > 400) throw new Error('Caddy does not serve');
    await Bun.sleep(25);
  }
}

function freePort(): number {
  const probe = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
