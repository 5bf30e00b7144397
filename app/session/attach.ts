import type { Clock } from '../base/clock.ts';
import type { RequestMessage } from '../base/message.ts';
import { errorText, RPC_ERROR } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Secret } from '../base/secret.ts';
import type { SpawnBreaker, SpawnPass } from '../child/spawn-breaker.ts';
import type { SpawnQueue } from '../child/spawn-queue.ts';
import type { Child, SpawnFailure, Supervisor } from '../child/supervisor.ts';
import type { AccountTokens, FreshToken } from '../forge/account-tokens.ts';
import type { ForgeFailure } from '../forge/forge.ts';
import type { Answer } from './calls.ts';
import { type ClientCapabilities, carriedCapabilities } from './capabilities.ts';
import type { Router } from './router.ts';

/** The limits that stand in the way of a session. */
export type SessionLimit = 'MAX_SESSIONS' | 'MAX_SESSIONS_PER_USER' | 'SPAWN_CONCURRENCY';

/** Why there is no session now. Each `detail` is for the log, and may name paths. */
export type OpenFailure =
  | { readonly kind: 'limit'; readonly limit: SessionLimit }
  /** The account's upstream token is refused, or the grant ended meanwhile. */
  | { readonly kind: 'sign_in_again' }
  | { readonly kind: 'forge_away'; readonly detail: string }
  /** The child's program is not there. */
  | { readonly kind: 'program'; readonly detail: string }
  /** The program ran and did not become an MCP server. */
  | { readonly kind: 'child_failed'; readonly detail: string }
  /** The child's own JSON-RPC error, with the client's id. */
  | { readonly kind: 'refused'; readonly answer: string }
  | { readonly kind: 'stopping' };

/** What the forge says after a child that failed to start. */
export type ForgeProbe = 'up' | 'away' | 'token_refused';

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

/** Bytes of a client's `initialize` params, which are kept in the session's row. */
export const HANDSHAKE_BYTES_MAX = 64 * 1024;

/** The client's `initialize` params as they are kept. */
export function handshakeOf(initialize: RequestMessage): Result<string, OpenFailure> {
  const handshake = JSON.stringify(initialize.params ?? {});
  if (Buffer.byteLength(handshake) <= HANDSHAKE_BYTES_MAX) return ok(handshake);
  const sentence = `the params of initialize have more than ${HANDSHAKE_BYTES_MAX} bytes`;
  const answer = errorText(initialize.id, RPC_ERROR.invalidParams, sentence);
  return err({ kind: 'refused', answer });
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
  /** Whether somebody has ended the session meanwhile; the failure's kind then says nothing. */
  readonly ended: () => boolean;
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
    const fresh = await parts.tokens.fresh(session.accountId, TOKEN_LEAD_MS);
    if (!fresh.ok) {
      if (fresh.error.kind === 'try_later') pass.forgeAway();
      return err(tokenFailure(fresh.error));
    }
    // Not before the token: who waits for the forge must not keep others from starting.
    const turn = await parts.spawnQueue.turn(session.accountId);
    if (!turn.ok) return err({ kind: 'limit', limit: 'SPAWN_CONCURRENCY' });
    try {
      if (session.ended()) return err({ kind: 'stopping' });
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
  if (session.ended()) return err({ kind: 'stopping' });
  const failure = opened.error;
  if (failure.kind !== 'silent') return err(failure);
  const detail = `${failure.detail} (exit code ${exit.code})`;
  const silence = await silenceFailure(parts, token, detail);
  if (silence.kind === 'forge_away') pass.forgeAway();
  else pass.forgeUp();
  return err(silence);
}

/**
 * The broker's own `initialize` for a client: with its name, and with what of its capabilities is
 * carried (MCP lifecycle, Initialization). An unknown version becomes the newest that is served.
 */
function initializeText(
  request: RequestMessage,
  capabilities: ClientCapabilities,
  serverVersions: readonly string[],
): string {
  const asked = (request.params ?? {}) as { protocolVersion?: unknown; clientInfo?: unknown };
  const version = serverVersions.find((served) => served === asked.protocolVersion);
  const params = {
    protocolVersion: version ?? serverVersions.at(-1),
    capabilities,
    clientInfo: asked.clientInfo ?? { name: 'unknown', version: 'unknown' },
  };
  return JSON.stringify({ jsonrpc: '2.0', id: request.id, method: 'initialize', params });
}

type Opening = Result<
  { readonly answer: string; readonly protocolVersion: string },
  | Extract<OpenFailure, { kind: 'refused' | 'child_failed' }>
  | { readonly kind: 'silent'; readonly detail: string }
>;

function readAnswer(answer: Answer, serverVersions: readonly string[]): Opening {
  switch (answer.kind) {
    case 'answered': {
      if (answer.failed) return err({ kind: 'refused', answer: answer.text });
      const version = JSON.parse(answer.text).result?.protocolVersion;
      const protocolVersion = serverVersions.find((served) => served === version);
      // A version that we do not know is a protocol that we cannot carry (MCP lifecycle).
      if (protocolVersion !== undefined) return ok({ answer: answer.text, protocolVersion });
      return err({ kind: 'child_failed', detail: 'the program speaks no version that we know' });
    }
    case 'timed_out':
      return err({ kind: 'silent', detail: 'the program did not answer initialize in time' });
    case 'gone':
      return err({ kind: 'silent', detail: 'the program ended before it answered initialize' });
    case 'ambiguous':
    case 'cancelled':
    case 'full':
    case 'too_many':
      return err({ kind: 'child_failed', detail: 'the program could not be asked' });
  }
}

/** forgejo-mcp leaves without a word when it cannot reach the forge, so the forge is asked. */
async function silenceFailure(
  parts: AttachParts,
  token: Secret,
  detail: string,
): Promise<OpenFailure> {
  switch (await parts.probeForge(token)) {
    case 'away':
      return { kind: 'forge_away', detail };
    case 'token_refused':
      return { kind: 'sign_in_again' };
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
