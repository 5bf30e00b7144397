import type { Log } from '../base/log.ts';
import type { RequestMessage } from '../base/message.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Digest } from '../base/secret.ts';
import { handshakeOf } from './handshake.ts';
import type { KeptRow } from './kept-row.ts';
import type { Links } from './links.ts';
import { failureFields, type OpenFailure } from './open-failure.ts';
import type { SessionOwner } from './owned-session.ts';
import type { Streams } from './streams.ts';

export interface OpeningParts {
  readonly links: Links;
  readonly row: KeptRow;
  readonly streams: Streams;
  readonly owner: SessionOwner;
  readonly storedPerUserMax: number;
  readonly log: Log;
  /** What somebody has ended it with meanwhile, once it is gone. */
  readonly ended: () => Promise<OpenFailure | undefined>;
  /** These had to go for its row. */
  readonly onRemoved: (sessions: readonly Digest[]) => void;
}

export interface Opened {
  /** The child's, to `initialize`. */
  readonly answer: string;
  /** JSON text of the client's params, which further children are told too. */
  readonly handshake: string;
}

/** Starts the first child, opens the protocol and writes the row. */
export async function openSession(
  initialize: RequestMessage,
  parts: OpeningParts,
): Promise<Result<Opened, OpenFailure>> {
  const { links, row, streams, owner, log } = parts;
  const { id, params } = initialize;
  const refused = (failure: OpenFailure): Result<never, OpenFailure> => {
    log.warn('session.not_opened', { login: owner.login, ...failureFields(failure) });
    return err(failure);
  };
  const handshake = handshakeOf(initialize);
  if (!handshake.ok) return refused(handshake.error);
  const started = await links.start({ id, params, replay: undefined });
  const ended = await parts.ended();
  if (ended !== undefined) return err(ended);
  if (!started.ok) return refused(started.error);
  const agreement = { ...started.value, handshake: handshake.value };
  parts.onRemoved(await row.insert(owner, agreement, parts.storedPerUserMax));
  const endedSince = await parts.ended();
  if (endedSince !== undefined) return err(endedSince);
  const { answer, protocolVersion } = started.value;
  streams.protocolVersion = protocolVersion;
  const { login, clientId, grantId } = owner;
  log.info('session.opened', { login, client: clientId, grant: grantId, protocolVersion });
  return ok({ answer, handshake: handshake.value });
}
