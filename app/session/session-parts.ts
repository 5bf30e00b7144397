import type { Log } from '../base/log.ts';
import type { Result } from '../base/result.ts';
import { type Digest, newToken, type Random } from '../base/secret.ts';
import type { Store } from '../store/store.ts';
import { type AttachParts, attach } from './attach.ts';
import type { EventIds } from './event-id.ts';
import { Links } from './links.ts';
import type { OpenFailure } from './open-failure.ts';
import { Router, type SessionIds, type WaitingLimits } from './router.ts';
import type { Session } from './session.ts';
import type { Streams } from './streams.ts';

export interface SessionParts extends AttachParts, WaitingLimits {
  readonly store: Pick<Store, 'sessions'>;
  readonly eventIds: (session: Digest) => EventIds;
  readonly random: Random;
  readonly requestTimeoutMs: number;
  readonly requestTimeoutTotalMs: number;
  readonly idleTimeoutMs: number;
  readonly streamBufferBytesMax: number;
  readonly streamAgeMsMax: number;
  readonly subscriptionsMax: number;
  readonly storedPerUserMax: number;
  readonly log: Log;
}

/** How a session acts on the others. */
export interface SessionHooks {
  /** Makes room for one more child. */
  readonly makeRoom: (session: Session, take: () => void) => Promise<Result<void, OpenFailure>>;
  /** Whether it takes a place may have changed. */
  readonly onChange: () => void;
  /** These had to go for its row. */
  readonly onRemoved: (sessions: readonly Digest[]) => void;
  /** The forge does not honour the token of its account. */
  readonly onSignedOut: () => void;
  /** An answer looks as if that were so. */
  readonly onSuspicion: () => void;
  /** Called once: session and children are gone, and its row unless it is kept or stuck. */
  readonly onGone: (rowLeft: boolean) => void;
}

/** Where the children of a session belong. */
export interface LinksPlace {
  readonly session: Session;
  readonly accountId: number;
  readonly shortId: string;
  readonly streams: Streams;
  readonly log: Log;
  readonly lastUsedAt: () => number;
}

/** Random characters, so that no answer to a question of an earlier run is taken for one of this. */
const RUN_BYTES = 6;

/** The children of one session, and the ids that are counted over all of them. */
export function createLinks(parts: SessionParts, hooks: SessionHooks, place: LinksPlace): Links {
  const { clock, metrics, idleTimeoutMs, random } = parts;
  const { session, accountId, shortId, streams, log, lastUsedAt } = place;
  const ids = countIds(random);
  return new Links({
    ...{ clock, idleTimeoutMs, lastUsedAt, onChange: hooks.onChange },
    attach: (how) => attach(parts, { ...how, accountId, shortId }),
    createRouter: () =>
      new Router({
        ...{ clock, metrics, streams, ids, limits: parts },
        questionTimeoutMs: parts.requestTimeoutMs,
      }),
    makeRoom: (take) => hooks.makeRoom(session, take),
    onStopped: (reason) => {
      metrics.sessionsDetached.inc({ reason });
      log.info('session.detached', { reason });
    },
  });
}

function countIds(random: Random): SessionIds {
  const run = newToken(random, RUN_BYTES);
  let calls = 0;
  let questions = 0;
  return {
    call() {
      calls += 1;
      return calls;
    },
    question() {
      questions += 1;
      return `fjmcp-${run}-${questions}`;
    },
  };
}
