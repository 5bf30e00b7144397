import { type Clock, within } from '../base/clock.ts';
import { Secret } from '../base/secret.ts';
import type { Supervisor } from './supervisor.ts';

/** What became of a program that was started only to see whether it starts. */
export type Trial =
  | { readonly kind: 'answered' }
  /** It ran, and said nothing: Forgejo may be away, or it refuses to work without a person. */
  | { readonly kind: 'silent'; readonly detail: string }
  /** It could not be run at all. */
  | { readonly kind: 'not_started'; readonly detail: string };

/** No token of anybody, and no text that one could have. */
const NO_TOKEN = 'trial';

/** What shells and wrappers exit with when the program behind them cannot be run. */
const CANNOT_RUN = new Set([126, 127]);

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'fjmcp-broker trial', version: '1' },
  },
});

/**
 * Starts one child without anybody's token, asks it to initialize and ends it. It may take as long
 * as `timeoutMs`.
 */
export async function tryChild(
  supervisor: Pick<Supervisor, 'spawn'>,
  clock: Clock,
  timeoutMs: number,
): Promise<Trial> {
  const { promise: answered, resolve } = Promise.withResolvers<true>();
  const spawned = supervisor.spawn({
    token: new Secret(NO_TOKEN),
    label: 'trial',
    onLine: () => resolve(true),
  });
  if (!spawned.ok) return { kind: 'not_started', detail: spawned.error.detail };
  const child = spawned.value;
  child.send(INITIALIZE);
  let answers = false;
  const first = Promise.race([answered, child.exited.then(() => false)]).then((won) => {
    answers = won;
  });
  const inTime = await within(clock, timeoutMs, first);
  const { code, signal } = await child.stop('trial');
  if (answers) return { kind: 'answered' };
  if (!inTime) return { kind: 'silent', detail: `it did not answer within ${timeoutMs} ms` };
  const detail = `it ended with ${signal ?? `exit code ${code}`} and answered nothing`;
  return { kind: code !== null && CANNOT_RUN.has(code) ? 'not_started' : 'silent', detail };
}
