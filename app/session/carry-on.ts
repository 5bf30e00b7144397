import type { Log } from '../base/log.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { KeptRow } from './kept-row.ts';
import { type Links, REPLAY_ID } from './links.ts';
import { listChanges } from './list-changes.ts';
import { failureFields, type OpenFailure } from './open-failure.ts';
import type { Streams } from './streams.ts';

/** What waits for a client that is about to read again is given to it after so long at the latest. */
export const RELEASE_MS = 1_000;

/**
 * Starts another child for a session that was opened before, and tells it all that the one before
 * was told. What it says meanwhile waits until its client reads again.
 */
export async function carryOn(session: {
  readonly links: Links;
  readonly row: KeptRow;
  readonly streams: Streams;
  /** JSON text of the client's `initialize` params. */
  readonly handshake: string;
  readonly login: string;
  readonly log: Log;
}): Promise<Result<void, OpenFailure>> {
  const { links, row, streams, login, log } = session;
  const { protocolVersion } = streams;
  const params: unknown = JSON.parse(session.handshake);
  const replay = { protocolVersion, state: () => row.state };
  const attached = await links.start({ id: REPLAY_ID, params, replay });
  if (!attached.ok) {
    const failure = attached.error;
    log.warn('session.not_attached', { login, ...failureFields(failure) });
    if (failure.kind !== 'refused') return err(failure);
    // Its text is about an `initialize` that the client has not sent.
    return err({ kind: 'child_failed', detail: 'the program refused initialize' });
  }
  const { child, serverCapabilities } = attached.value;
  log.info('session.attached', { login, pid: child.pid });
  const router = links.current?.router;
  if (router === undefined) return ok(undefined);
  const told = row.state.serverCapabilities;
  for (const text of listChanges(told, serverCapabilities)) {
    router.announce(text);
  }
  row.change({ serverCapabilities });
  if (!row.state.initialized) return ok(undefined);
  if (streams.listening.attached) router.release();
  else links.later(RELEASE_MS, () => router.release());
  return ok(undefined);
}
