import { Elysia, t } from 'elysia';
import type { Clock } from '../base/clock.ts';
import { methodNotAllowed } from '../base/method-not-allowed.ts';
import type { Store } from '../store/store.ts';
import { createReadiness } from './readiness.ts';

export interface StatusOptions {
  readonly version: string;
  /** The git revision, or `unknown`. */
  readonly git: string;
  readonly store: Pick<Store, 'writable'>;
  /** Asks Forgejo something cheap; it ends by itself, within a few seconds. */
  readonly probeForge: () => Promise<'up' | 'away'>;
  /** Whether no child is started now because the forge was away for those before. */
  readonly spawnsBlocked: () => boolean;
  /** True from the moment the stop began. */
  readonly stopping: () => boolean;
  readonly clock: Clock;
}

const STORE_CACHED_MS = 1000;
const FORGE_CACHED_MS = 10_000;
const RETRY_AFTER_S = '5';

const Health = t.Object({
  status: t.Literal('ok'),
  version: t.String(),
  git: t.String({ description: 'The git revision, or "unknown".' }),
});

const Ready = t.Object({ status: t.Literal('ready') });

const NotReady = t.Object({
  status: t.Literal('not_ready'),
  reasons: t.Array(
    t.Object({
      check: t.Union([
        t.Literal('store'),
        t.Literal('forge'),
        t.Literal('children'),
        t.Literal('stopping'),
      ]),
      reason: t.String(),
    }),
  ),
});

/**
 * `/healthz` says that the process answers; `/readyz` says whether it can do its work: the store
 * takes writes, Forgejo answers, children start, and no stop has begun. Neither tells anything secret.
 */
export function status(options: StatusOptions) {
  const readiness = createReadiness(
    [
      {
        name: 'store',
        cachedMs: STORE_CACHED_MS,
        probe: async () =>
          (await options.store.writable()) ? undefined : 'the store cannot be written',
      },
      {
        name: 'forge',
        cachedMs: FORGE_CACHED_MS,
        probe: async () =>
          (await options.probeForge()) === 'up' ? undefined : 'Forgejo does not answer',
      },
      {
        name: 'children',
        cachedMs: 0,
        probe: async () =>
          options.spawnsBlocked() ? 'the last children found Forgejo away' : undefined,
      },
      {
        name: 'stopping',
        cachedMs: 0,
        probe: async () => (options.stopping() ? 'the broker is stopping' : undefined),
      },
    ],
    options.clock,
  );
  const app = new Elysia({ name: 'status', tags: ['Status'] })
    .get(
      '/healthz',
      ({ set }) => {
        set.headers['cache-control'] = 'no-store';
        return { status: 'ok' as const, version: options.version, git: options.git };
      },
      { response: { 200: Health }, detail: { summary: 'The process answers' } },
    )
    .get(
      '/readyz',
      async ({ set, status }) => {
        set.headers['cache-control'] = 'no-store';
        const reasons = await readiness();
        if (reasons.length === 0) return { status: 'ready' as const };
        set.headers['retry-after'] = RETRY_AFTER_S;
        return status(503, { status: 'not_ready' as const, reasons: [...reasons] });
      },
      {
        response: { 200: Ready, 503: NotReady },
        detail: { summary: 'The broker can do its work' },
      },
    );
  methodNotAllowed(app, '/healthz', ['GET', 'HEAD']);
  methodNotAllowed(app, '/readyz', ['GET', 'HEAD']);
  return app;
}
