import type { Clock } from '../../app/base/clock.ts';
import { createKeyring, STORE_KEY_BYTES } from '../../app/base/keyring.ts';
import type { Log } from '../../app/base/log.ts';
import {
  type NotificationMessage,
  parseMessage,
  type ResponseMessage,
} from '../../app/base/message.ts';
import { createMetrics, type Metrics } from '../../app/base/metrics.ts';
import { err, ok } from '../../app/base/result.ts';
import { type Digest, Secret, systemRandom } from '../../app/base/secret.ts';
import { createSpawnBreaker } from '../../app/child/spawn-breaker.ts';
import { createSpawnQueue } from '../../app/child/spawn-queue.ts';
import type { Supervisor } from '../../app/child/supervisor.ts';
import type { FreshToken, TokenVerdict } from '../../app/forge/account-tokens.ts';
import type { ForgeFailure } from '../../app/forge/forge.ts';
import {
  createSessionRegistry,
  type ForgeProbe,
  type OpenedSession,
  type RequestMessage,
  type SessionLimits,
  type SessionOwner,
  type SessionRegistry,
  type SessionRegistryOptions,
} from '../../app/session/registry.ts';
import type {
  GrantlessSession,
  SessionRow,
  SessionState,
  Sessions,
} from '../../app/store/sessions.ts';
import { type FakeChild, FakeSupervisor, opens } from './fake-child.ts';
import { FakeClock } from './fake-clock.ts';
import { createMemoryLog, type MemoryLog } from './memory-log.ts';

export const VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25'];
export const HOUR_MS = 60 * 60_000;

/** Rows of sessions in memory. */
export class MemorySessions implements Sessions {
  readonly rows = new Map<Digest, SessionRow>();
  readonly uses: Digest[] = [];
  failure: Error | undefined;
  /** A live grant that takes over the sessions of an ended one. */
  heir: string | undefined;
  /** What an insert waits for. */
  gate: Promise<void> = Promise.resolve();

  async insert(row: SessionRow, storedMax: number): Promise<readonly Digest[]> {
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    const own = [...this.rows.values()].filter(({ accountId }) => accountId === row.accountId);
    const oldest = own.toSorted((a, b) => a.lastUsedAt - b.lastUsedAt);
    const removed = oldest.slice(0, Math.max(0, own.length + 1 - storedMax));
    for (const { idDigest } of removed) this.rows.delete(idDigest);
    this.rows.set(row.idDigest, row);
    return removed.map(({ idDigest }) => idDigest);
  }

  async setState(idDigest: Digest, state: SessionState): Promise<void> {
    const { initialized, serverCapabilities, logLevel, subscriptions, permission } = state;
    this.#change(idDigest, {
      ...{ initialized, serverCapabilities, logLevel, subscriptions, permission },
    });
  }

  async setGrant(idDigest: Digest, grantId: string): Promise<void> {
    this.#change(idDigest, { grantId });
  }

  async endGrant(grantId: string): Promise<readonly GrantlessSession[]> {
    const heir = this.heir ?? null;
    const rows = [...this.rows.values()].filter((row) => row.grantId === grantId);
    for (const { idDigest } of rows) {
      if (heir === null) this.rows.delete(idDigest);
      else this.#change(idDigest, { grantId: heir });
    }
    return rows.map(({ idDigest }) => ({ idDigest, heir }));
  }

  async endAccount(accountId: number): Promise<number> {
    const rows = [...this.rows.values()].filter((row) => row.accountId === accountId);
    for (const { idDigest } of rows) this.rows.delete(idDigest);
    return rows.length;
  }

  async find(idDigest: Digest): Promise<SessionRow | undefined> {
    return this.rows.get(idDigest);
  }

  async delete(idDigest: Digest): Promise<boolean> {
    if (this.failure !== undefined) throw this.failure;
    return this.rows.delete(idDigest);
  }

  used(idDigest: Digest): void {
    this.uses.push(idDigest);
  }

  #change(idDigest: Digest, change: Partial<SessionRow>): void {
    const row = this.rows.get(idDigest);
    if (row !== undefined) this.rows.set(idDigest, { ...row, ...change });
  }
}

/** Everything around a registry, each part in the test's hands. */
export interface Bench {
  readonly registry: SessionRegistry;
  readonly supervisor: FakeSupervisor;
  readonly sessions: MemorySessions;
  readonly clock: FakeClock;
  readonly memory: MemoryLog;
  readonly metrics: Metrics;
  readonly forge: {
    probe: ForgeProbe;
    probes: number;
    failure: ForgeFailure | undefined;
    token: string;
    lifeMs: number;
    readonly leads: number[];
    /** What it says of the account's token. */
    verdict: TokenVerdict;
    verified: number;
    /** What the token call waits for. */
    gate: Promise<void>;
  };
}

/** What a start has to pass, wide open unless a test narrows it. */
export function startGates(parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly concurrency?: number | undefined;
}) {
  const spawnQueue = createSpawnQueue({
    ...parts,
    concurrency: parts.concurrency ?? 1000,
    waitingMax: 256,
  });
  return { spawnQueue, spawnBreaker: createSpawnBreaker(parts) };
}

/** What event ids are sealed with. */
export function testKeyring() {
  return createKeyring({ current: systemRandom(STORE_KEY_BYTES), random: systemRandom });
}

/** How long events are kept for a client that comes back. */
export const STREAM_AGE_MS = 5 * 60_000;

/** Calls that may wait in one session. */
export const CALLS_MAX = 256;

/** Limits that most tests never reach. */
export const STREAM_LIMITS = {
  storedPerUserMax: 1000,
  ttlMs: 30 * 24 * HOUR_MS,
  requestTimeoutTotalMs: HOUR_MS,
  streamBufferBytesMax: 8 * 1024 * 1024,
  streamAgeMsMax: STREAM_AGE_MS,
  callsMax: CALLS_MAX,
};

export function bench(
  options: {
    readonly limits?: Partial<SessionLimits>;
    readonly script?: (child: FakeChild) => void;
    readonly supervisor?: Supervisor;
    readonly spawnConcurrency?: number;
    readonly stillAllowed?: SessionRegistryOptions['stillAllowed'];
  } = {},
): Bench {
  const clock = new FakeClock();
  const memory = createMemoryLog();
  const metrics = createMetrics();
  const supervisor = new FakeSupervisor(options.script ?? opens);
  const sessions = new MemorySessions();
  const forge: Bench['forge'] = {
    probe: 'up',
    probes: 0,
    failure: undefined,
    token: 'canary-upstream',
    lifeMs: HOUR_MS,
    leads: [],
    verdict: 'good',
    verified: 0,
    gate: Promise.resolve(),
  };
  const registry = createSessionRegistry({
    store: { sessions },
    keyring: testKeyring(),
    tokens: {
      async fresh(_accountId, leadMs) {
        forge.leads.push(leadMs);
        await forge.gate;
        if (forge.failure !== undefined) return err(forge.failure);
        const token: FreshToken = {
          token: new Secret(forge.token),
          expiresAt: clock.now() + forge.lifeMs,
          generation: 1,
        };
        return ok(token);
      },
      async verify() {
        forge.verified += 1;
        return forge.verdict;
      },
      async renewAbsent() {},
    },
    supervisor: options.supervisor ?? supervisor,
    ...startGates({ clock, log: memory.log, metrics, concurrency: options.spawnConcurrency }),
    probeForge: async () => {
      forge.probes += 1;
      return forge.probe;
    },
    limits: {
      sessionsMax: 100,
      sessionsPerUserMax: 10,
      requestTimeoutMs: 5 * 60_000,
      ...STREAM_LIMITS,
      idleTimeoutMs: 15 * 60_000,
      handshakeTimeoutMs: 10_000,
      stopGraceMs: 1500,
      ...options.limits,
    },
    stillAllowed: options.stillAllowed ?? (() => true),
    serverVersions: VERSIONS,
    clock,
    random: systemRandom,
    log: memory.log,
    metrics,
  });
  return { registry, supervisor, sessions, clock, memory, metrics, forge };
}

export function owner(accountId = 1, clientId = 'client-1', grantId = 'grant-1'): SessionOwner {
  return { accountId, clientId, grantId, login: `user${accountId}` };
}

export function request(method: string, id: string | number = 1, params?: object): RequestMessage {
  return requestFrom(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
}

/** A request from its exact text. */
export function requestFrom(text: string): RequestMessage {
  const parsed = parseMessage(text);
  if (!parsed.ok || parsed.value.kind !== 'request') throw new Error('no request');
  return parsed.value;
}

export function notification(method: string, params?: object): NotificationMessage {
  const parsed = parseMessage(JSON.stringify({ jsonrpc: '2.0', method, params }));
  if (!parsed.ok || parsed.value.kind !== 'notification') throw new Error('no notification');
  return parsed.value;
}

/** The client's answer to what its child asked. */
export function response(id: string | number, answer: object = { result: {} }): ResponseMessage {
  const parsed = parseMessage(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
  if (!parsed.ok || parsed.value.kind !== 'response') throw new Error('no response');
  return parsed.value;
}

export function initialize(version = '2025-11-25', id: string | number = 0): RequestMessage {
  return request('initialize', id, {
    protocolVersion: version,
    capabilities: { sampling: {}, roots: { listChanged: true }, elicitation: {} },
    clientInfo: { name: 'some client', version: '3' },
  });
}

/** Opens a session that must open. */
export async function opened(registry: SessionRegistry, by = owner()): Promise<OpenedSession> {
  const result = await registry.open(by, initialize());
  if (!result.ok) throw new Error(`no session: ${result.error.kind}`);
  return result.value;
}

/** Lets everything that waits for no timer and no process run. */
export async function settled(): Promise<void> {
  await Bun.sleep(0);
}
