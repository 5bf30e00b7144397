import type { Clock } from '../base/clock.ts';
import type { RequestId } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';
import type { SpawnBreaker, SpawnPass } from '../child/spawn-breaker.ts';
import type { SpawnQueue } from '../child/spawn-queue.ts';
import type { Child, Supervisor } from '../child/supervisor.ts';
import type { AccountTokens, FreshToken } from '../forge/account-tokens.ts';
import type { ForgeFailure } from '../forge/forge.ts';
import { carriedCapabilities } from './capabilities.ts';
import { initializeRequest, type Opening, readOpening } from './handshake.ts';
import { type ForgeProbe, type OpenFailure, spawnFailure, tokenFailure } from './open-failure.ts';
import { type Replay, replayState, type StillAllowed } from './replay.ts';
import type { Router } from './router.ts';

/** A child that has answered `initialize`. */
export interface Attached extends Opening {
  readonly child: Child;
  readonly token: FreshToken;
}

export interface AttachParts {
  readonly tokens: Pick<AccountTokens, 'fresh' | 'verify'>;
  readonly supervisor: Supervisor;
  readonly spawnQueue: SpawnQueue;
  readonly spawnBreaker: SpawnBreaker;
  /** Whether a client that holds this permission (the name of it) may ask this now. */
  readonly stillAllowed: StillAllowed;
  readonly probeForge: (token: Secret) => Promise<ForgeProbe>;
  /** Served versions, oldest first. */
  readonly serverVersions: readonly string[];
  readonly handshakeTimeoutMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/**
 * A token that expires sooner is renewed before a child is started. It is more than the lead of the
 * sweep, so that a child does not need a successor at once, and that one with the token at hand
 * can be started while only the renewal fails.
 */
export const ATTACH_LEAD_MS = 15 * 60_000;

/** A session that needs a child. */
export interface AttachingSession {
  readonly accountId: number;
  readonly shortId: string;
  readonly router: Router;
  /** The id that the child's answer is to have. */
  readonly id: RequestId;
  /** The client's own `initialize` params. */
  readonly params: unknown;
  /** What a child before has been told; undefined at the first one. */
  readonly replay: Replay | undefined;
  /** Aborts when nobody needs the child any more; the failure's kind then says nothing. */
  readonly end: AbortSignal;
  readonly onChild: (child: Child) => void;
}

/**
 * Starts a session's child and opens the protocol with it: the account's token, a turn in the queue
 * of starts, the process, `initialize`, and what the child before had been told. `onChild` is
 * called as soon as there is a process, so that whoever ends the session can stop it at any moment.
 * After a failure no process is left.
 */
export async function attach(
  parts: AttachParts,
  session: AttachingSession,
): Promise<Result<Attached, OpenFailure>> {
  const pass = parts.spawnBreaker.pass();
  if (pass === undefined) return err(BREAKER_OPEN);
  try {
    const fresh = await unlessEnded(session.end, () => honouredToken(parts, session.accountId));
    if (fresh === undefined) return err({ kind: 'stopping' });
    if (!fresh.ok) return err(tokenFailure(fresh.error));
    // Not before the token: who waits for the forge must not keep others from starting.
    const turn = await parts.spawnQueue.turn(session.accountId);
    if (!turn.ok) return err({ kind: 'limit', limit: 'SPAWN_CONCURRENCY' });
    try {
      if (session.end.aborted) return err({ kind: 'stopping' });
      if (!pass.good) return err(BREAKER_OPEN);
      return await start(parts, session, fresh.value, pass);
    } finally {
      turn.value();
    }
  } finally {
    pass.giveBack();
  }
}

/** Nothing was tried: the starts before have found the forge away. */
const BREAKER_OPEN: OpenFailure = {
  kind: 'forge_away',
  detail: 'no program is started now: the last ones found the forge away',
};

/** A token that has not expired may be dead all the same: the person removed the application. */
async function honouredToken(
  { tokens }: AttachParts,
  accountId: number,
): Promise<Result<FreshToken, ForgeFailure>> {
  const fresh = await tokens.fresh(accountId, ATTACH_LEAD_MS);
  if (!fresh.ok) return fresh;
  switch (await tokens.verify(accountId)) {
    case 'good':
    case 'unknown':
      return fresh;
    case 'renewed':
      return tokens.fresh(accountId, ATTACH_LEAD_MS);
    case 'signed_out':
      return err({ kind: 'sign_in_again', detail: 'the forge does not honour the token' });
  }
}

async function start(
  parts: AttachParts,
  session: AttachingSession,
  token: FreshToken,
  pass: SpawnPass,
): Promise<Result<Attached, OpenFailure>> {
  const { router, replay } = session;
  const startedAt = parts.clock.now();
  const spawned = parts.supervisor.spawn({
    token: token.token,
    label: session.shortId,
    onLine: (line) => router.receive(line),
  });
  if (!spawned.ok) return err(spawnFailure(spawned.error));
  const child = spawned.value;
  const capabilities = carriedCapabilities(session.params);
  router.connect(child, capabilities);
  session.onChild(child);

  const versions = replay === undefined ? parts.serverVersions : [replay.protocolVersion];
  const params =
    replay === undefined
      ? session.params
      : { ...(session.params as object), protocolVersion: replay.protocolVersion };
  const request = initializeRequest(session.id, params, capabilities, versions);
  const limits = { idleMs: parts.handshakeTimeoutMs, totalMs: parts.handshakeTimeoutMs };
  const opened = readOpening(await router.ask(request, limits), parts.serverVersions);
  // A program that answers has asked the forge before, and a refusal is an answer.
  if (opened.ok || opened.error.kind === 'refused') pass.forgeUp();
  if (opened.ok) {
    const replayed = await replayState(router, opened.value, replay, { ...parts, limits });
    if (!replayed.ok) await child.stop('handshake_failed');
    if (session.end.aborted) return err({ kind: 'stopping' });
    if (!replayed.ok) return replayed;
    parts.metrics.childSpawnSeconds.observe((parts.clock.now() - startedAt) / 1000);
    return ok({ child, ...opened.value, token });
  }
  const exit = await child.stop('handshake_failed');
  const failure = opened.error;
  if (failure.kind !== 'silent') return err(failure);
  const detail = `${failure.detail} (exit code ${exit.code})`;
  const { accountId } = session;
  const silence = await unlessEnded(session.end, () =>
    silenceFailure(parts, { accountId, token: token.token, detail }),
  );
  if (silence === undefined) return err({ kind: 'stopping' });
  if (silence.kind === 'forge_away') pass.forgeAway();
  else pass.forgeUp();
  return err(silence);
}

/** The forge may be slow: who ended the session, and the client, do not wait for it any more. */
async function unlessEnded<T>(end: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
  if (end.aborted) return undefined;
  const ended = Promise.withResolvers<undefined>();
  const onEnd = () => ended.resolve(undefined);
  end.addEventListener('abort', onEnd);
  try {
    const done = await Promise.race([work(), ended.promise]);
    return end.aborted ? undefined : done;
  } finally {
    end.removeEventListener('abort', onEnd);
  }
}

/** forgejo-mcp leaves without a word when it cannot reach the forge, so the forge is asked. */
async function silenceFailure(
  parts: AttachParts,
  { accountId, token, detail }: { accountId: number; token: Secret; detail: string },
): Promise<OpenFailure> {
  switch (await parts.probeForge(token)) {
    case 'away':
      return { kind: 'forge_away', detail };
    case 'token_refused': {
      // Dead before its time: either a renewal helps, or the person must sign in and the account's
      // state has to say so, else clients would refresh their own token and come back for ever.
      const verdict = await parts.tokens.verify(accountId, true);
      return verdict === 'signed_out' ? { kind: 'sign_in_again' } : { kind: 'forge_away', detail };
    }
    case 'up':
      return { kind: 'child_failed', detail };
  }
}
