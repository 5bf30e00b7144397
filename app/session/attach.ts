import type { Clock } from '../base/clock.ts';
import type { RequestMessage } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';
import type { SpawnBreaker, SpawnPass } from '../child/spawn-breaker.ts';
import type { SpawnQueue } from '../child/spawn-queue.ts';
import type { Child, SpawnFailure, Supervisor } from '../child/supervisor.ts';
import type { AccountTokens, FreshToken } from '../forge/account-tokens.ts';
import type { ForgeFailure } from '../forge/forge.ts';
import { carriedCapabilities } from './capabilities.ts';
import { initializeText, readAnswer } from './handshake.ts';
import type { ForgeProbe, OpenFailure } from './open-failure.ts';
import type { Router } from './router.ts';

/** A child that has answered `initialize`. */
export interface Attached {
  readonly child: Child;
  /** The child's answer with the client's id. */
  readonly answer: string;
  readonly protocolVersion: string;
  readonly tokenExpiresAt: number;
}

export interface AttachParts {
  readonly tokens: Pick<AccountTokens, 'fresh'>;
  readonly supervisor: Supervisor;
  readonly spawnQueue: SpawnQueue;
  readonly spawnBreaker: SpawnBreaker;
  readonly probeForge: (token: Secret) => Promise<ForgeProbe>;
  /** Served versions, oldest first. */
  readonly serverVersions: readonly string[];
  readonly handshakeTimeoutMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/**
 * A child ends when its token expires, so the token is renewed before each spawn: the session gets
 * the whole hour of a Forgejo token. One that is minutes old (a sign-in, another session) will do.
 */
const TOKEN_LEAD_MS = 55 * 60_000;

/** A session that needs a child. */
export interface AttachingSession {
  readonly accountId: number;
  readonly shortId: string;
  readonly router: Router;
  readonly initialize: RequestMessage;
  /** Aborts when somebody ends the session meanwhile; the failure's kind then says nothing. */
  readonly end: AbortSignal;
  readonly onChild: (child: Child) => void;
}

/**
 * Starts a session's child and opens the protocol with it: the account's token, a turn in the queue
 * of starts, the process, `initialize`. `onChild` is called as soon as there is a process, so that
 * whoever ends the session can stop it at any moment. After a failure no process is left.
 */
export async function attach(
  parts: AttachParts,
  session: AttachingSession,
): Promise<Result<Attached, OpenFailure>> {
  const pass = parts.spawnBreaker.pass();
  if (pass === undefined) return err(BREAKER_OPEN);
  try {
    const fresh = await unlessEnded(session.end, () =>
      parts.tokens.fresh(session.accountId, TOKEN_LEAD_MS),
    );
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

async function start(
  parts: AttachParts,
  session: AttachingSession,
  { token, expiresAt }: FreshToken,
  pass: SpawnPass,
): Promise<Result<Attached, OpenFailure>> {
  const { router, initialize } = session;
  const startedAt = parts.clock.now();
  const spawned = parts.supervisor.spawn({
    token,
    label: session.shortId,
    onLine: (line) => router.receive(line),
  });
  if (!spawned.ok) return err(spawnFailure(spawned.error));
  const child = spawned.value;
  const capabilities = carriedCapabilities(initialize.params);
  router.connect(child, capabilities);
  session.onChild(child);

  const text = initializeText(initialize, capabilities, parts.serverVersions);
  const limits = { idleMs: parts.handshakeTimeoutMs, totalMs: parts.handshakeTimeoutMs };
  const answer = await router.ask({ ...initialize, params: undefined, text }, limits);
  const opened = readAnswer(answer, parts.serverVersions);
  // A program that answers has asked the forge before, and a refusal is an answer.
  if (opened.ok || opened.error.kind === 'refused') pass.forgeUp();
  if (opened.ok) {
    parts.metrics.childSpawnSeconds.observe((parts.clock.now() - startedAt) / 1000);
    return ok({ child, ...opened.value, tokenExpiresAt: expiresAt });
  }
  const exit = await child.stop('handshake_failed');
  const failure = opened.error;
  if (failure.kind !== 'silent') return err(failure);
  const detail = `${failure.detail} (exit code ${exit.code})`;
  const { accountId } = session;
  const silence = await unlessEnded(session.end, () =>
    silenceFailure(parts, { accountId, token, detail }),
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
      const renewed = await parts.tokens.fresh(accountId, Number.POSITIVE_INFINITY);
      return renewed.ok ? { kind: 'forge_away', detail } : tokenFailure(renewed.error);
    }
    case 'up':
      return { kind: 'child_failed', detail };
  }
}

function tokenFailure(failure: ForgeFailure): OpenFailure {
  switch (failure.kind) {
    case 'sign_in_again':
      return { kind: 'sign_in_again' };
    case 'try_later':
    case 'misconfigured':
      return { kind: 'forge_away', detail: failure.detail };
  }
}

function spawnFailure(failure: SpawnFailure): OpenFailure {
  switch (failure.kind) {
    case 'program_missing':
      return { kind: 'program', detail: failure.detail };
    case 'system':
      return { kind: 'child_failed', detail: failure.detail };
    case 'stopping':
      return { kind: 'stopping' };
  }
}
