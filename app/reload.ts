import type { Log } from './base/log.ts';
import { err, ok, type Result } from './base/result.ts';
import { asDigest } from './base/secret.ts';
import type { LiveConfig } from './config/live.ts';
import type { ConfigOutcome, StaticClientConfig } from './config.ts';
import type { ReloadedSettings } from './control/protocol.ts';
import type { SessionRegistry } from './session/registry.ts';
import type { Store } from './store/store.ts';
import { createPermissionReader } from './tools/held-permission.ts';

export interface ReloadParts {
  readonly live: LiveConfig;
  /** Reads flags, environment and file again; undefined: there is nothing to read. */
  readonly readConfig?: () => ConfigOutcome;
  readonly store: Pick<Store, 'clients' | 'grants'>;
  readonly sessions: Pick<SessionRegistry, 'endGrant' | 'permit'>;
  readonly log: Log;
}

/**
 * Reads the settings again and takes those that a running broker can take; each change and each
 * refusal is logged. With one fault in them all stays as it is, and the faults are sentences.
 */
export async function reloadSettings(
  parts: ReloadParts,
): Promise<Result<ReloadedSettings, readonly string[]>> {
  const { live, readConfig, log } = parts;
  const read = readConfig?.() ?? NOTHING_TO_READ;
  if (!read.ok) {
    for (const reason of read.error) log.error('config.refused', { reason });
    return err(read.error);
  }
  const { warnings, ...next } = read.value;
  const { maxScope } = live.config;
  const { changed, needRestart } = live.take(next);
  for (const warning of warnings) log.warn('config.warning', { warning });
  for (const { name, from, to } of changed) log.info('config.changed', { setting: name, from, to });
  for (const name of needRestart) log.warn('config.needs_restart', { setting: name });
  log.setLevel(live.config.logLevel);
  await keepStaticClients(live.config.staticClients, parts);
  if (live.config.maxScope !== maxScope) await tellPermissions(parts);
  log.info('config.reloaded', { changed: changed.length, need_restart: needRestart.length });
  return ok({ kind: 'settings', changed, needRestart, warnings });
}

/** Makes the store's static clients those of the file; what was allowed to others ends. */
export async function keepStaticClients(
  clients: readonly StaticClientConfig[],
  {
    store,
    sessions,
    log,
  }: {
    readonly store: Pick<Store, 'clients'>;
    readonly sessions: Pick<SessionRegistry, 'endGrant'>;
    readonly log: Log;
  },
): Promise<void> {
  const removed = await store.clients.syncStatic(
    clients.map(({ secretSha256, ...client }) => ({
      ...client,
      secretDigest: secretSha256 === null ? null : asDigest(secretSha256),
    })),
  );
  for (const grant of removed) {
    await sessions.endGrant(grant, 'client_removed');
    log.info('grant.ended', { grant, reason: 'client_removed' });
  }
}

/**
 * The ceiling holds from here on, for the next call of each session; a client that only listens has
 * to be told, or it goes on showing tools that it may not use.
 */
async function tellPermissions({ live, store, sessions, log }: ReloadParts): Promise<void> {
  const read = createPermissionReader();
  try {
    await sessions.permit(async (grantId) => {
      const grant = await store.grants.find(grantId);
      if (grant === undefined) return undefined;
      const held = read(grant.permission, grant.scope, live.config.maxScope);
      // What cannot be read allows nothing, and the next request finds it out.
      return held.ok ? held.value?.text : undefined;
    });
  } catch (err) {
    // Nobody may do more for it: each is told at its next request.
    log.error('session.not_told', { err });
  }
}

const NOTHING_TO_READ: ConfigOutcome = {
  ok: false,
  error: ['This broker was started without settings that could be read again.'],
  warnings: [],
};
