import { type Cancel, sleep, within } from '../base/clock.ts';
import type { Digest } from '../base/secret.ts';
import type { SessionRow } from '../store/sessions.ts';
import type { SessionOwner } from './owned-session.ts';
import type { Renewal } from './renewal.ts';
import { createRooms } from './room.ts';
import { Session } from './session.ts';
import type { SessionParts } from './session-parts.ts';

/** The sessions in memory; the store has all. */
export interface SessionMap {
  readonly all: ReadonlyMap<Digest, Session>;
  of(accountId: number): readonly Session[];
  /** How many take a place. */
  readonly occupied: number;
  /** A new one, which takes its place before anything is awaited. */
  add(idDigest: Digest, owner: SessionOwner): Session;
  /** One that this owner has, from memory or from the store. */
  find(idDigest: Digest, owner: SessionOwner): Promise<Session | undefined>;
  /** Begins to forget what nobody needs. */
  start(): Cancel;
  /** Ends each when nothing of it is under way, for `graceMs` at most. */
  leave(graceMs: number): Promise<void>;
  /** Ends all with the broker. */
  stop(drainMs: number): Promise<void>;
}

export interface SessionMapParts extends SessionParts {
  readonly sessionsMax: number;
  readonly sessionsPerUserMax: number;
  readonly ttlMs: number;
  readonly stopGraceMs: number;
}

/** Rows that could not be deleted and are remembered; prune takes them when their time has come. */
const UNDELETED_MAX = 10_000;

/** How often it is looked for what has ended, while another broker has taken over. */
const LEAVE_LOOK_MS = 100;

/** How often it is looked for sessions of which only the row is needed. */
export const SWEEP_MS = 30_000;

const NOT_THERE = Promise.resolve(undefined);

export function createSessionMap(parts: SessionMapParts, renewal: Renewal): SessionMap {
  const { clock, metrics, store, ttlMs } = parts;
  const all = new Map<Digest, Session>();
  const loading = new Map<Digest, Promise<Session | undefined>>();
  /** Those that have ended although their row could not be deleted. */
  const undeleted = new Set<Digest>();
  const occupants = () => [...all.values()].filter(({ occupied }) => occupied);
  const onChange = () => metrics.sessions.set(occupants().length);

  const { makeRoom, gone } = createRooms(parts, occupants);

  const create = (idDigest: Digest, owner: SessionOwner, row: SessionRow | undefined): Session => {
    const hooks = {
      ...{ makeRoom, onChange },
      onRemoved: (removed: readonly Digest[]) => {
        for (const digest of removed) void all.get(digest)?.finish('too_many_stored');
      },
      onSignedOut: () => renewal.signedOut(owner.accountId),
      onSuspicion: () => renewal.suspect(owner.accountId),
      onGone: (rowLeft: boolean) => {
        if (rowLeft && undeleted.size < UNDELETED_MAX) undeleted.add(idDigest);
        if (all.get(idDigest) === session) all.delete(idDigest);
        gone(session);
        onChange();
      },
    };
    const session = new Session(parts, hooks, { idDigest, owner }, row);
    all.set(idDigest, session);
    return session;
  };

  const load = async (idDigest: Digest, login: string): Promise<Session | undefined> => {
    const row = await store.sessions.find(idDigest);
    if (row === undefined) return undefined;
    const { accountId, clientId, grantId } = row;
    return create(idDigest, { accountId, clientId, grantId, login }, row);
  };

  /** Many requests, one session. */
  const loaded = (idDigest: Digest, login: string): Promise<Session | undefined> => {
    const running = loading.get(idDigest);
    if (running !== undefined) return running;
    const started = load(idDigest, login).finally(() => loading.delete(idDigest));
    loading.set(idDigest, started);
    return started;
  };

  /** Whether its row is as it was: who ended its grant did so with another broker. */
  const carriesOn = async (digest: Digest, { owner }: Session): Promise<boolean> => {
    try {
      return (await store.sessions.find(digest))?.grantId === owner.grantId;
    } catch {
      // The store has told of it; a call is not ended for what nobody knows.
      return true;
    }
  };

  const forget = (): void => {
    for (const [digest, session] of all) {
      if (session.unusedFor(ttlMs)) void session.finish('expired');
      else if (session.dormant) all.delete(digest);
    }
  };

  return {
    all,
    of: (accountId) => [...all.values()].filter(({ owner }) => owner.accountId === accountId),
    get occupied() {
      return occupants().length;
    },
    add: (idDigest, owner) => create(idDigest, owner, undefined),
    find(idDigest, owner) {
      if (undeleted.has(idDigest)) return NOT_THERE;
      const session = all.get(idDigest);
      if (session !== undefined) return ownedBy(owner, session, ttlMs);
      return loaded(idDigest, owner.login).then((found) => ownedBy(owner, found, ttlMs));
    },
    start: () => clock.every(SWEEP_MS, forget),
    async leave(graceMs) {
      const until = clock.now() + graceMs;
      while (all.size > 0 && clock.now() < until) {
        for (const [digest, session] of all) {
          const isBusy = session.unusedSince === undefined;
          // One that opens has no row yet.
          const opens = isBusy && !session.usable;
          if (opens || (isBusy && (await carriesOn(digest, session)))) continue;
          void session.finish('stopping');
        }
        await sleep(clock, LEAVE_LOOK_MS);
      }
    },
    async stop(drainMs) {
      const drained = [...all.values()].map((session) => session.drain(drainMs));
      // A process in an uninterruptible wait cannot be ended by anyone.
      await within(clock, parts.stopGraceMs, Promise.all(drained));
    },
  };
}

function ownedBy(
  owner: SessionOwner,
  session: Session | undefined,
  ttlMs: number,
): Promise<Session | undefined> {
  if (session?.usable !== true) return NOT_THERE;
  // The id alone opens nothing (CVE-2026-33946): it must belong to this person and client.
  const { accountId, clientId } = session.owner;
  if (accountId !== owner.accountId || clientId !== owner.clientId) return NOT_THERE;
  if (!session.unusedFor(ttlMs)) return Promise.resolve(session);
  return session.finish('expired').then(() => undefined);
}
