import type { Keyring } from '../base/keyring.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { SessionRegistry } from '../session/registry.ts';
import type { ListedGrant, ListedSession, ListFilter } from '../store/listings.ts';
import type { Store } from '../store/store.ts';
import { type ExamineParts, examine } from './examine.ts';
import {
  type ControlFault,
  type ControlQuestion,
  type ControlResults,
  type HandedOver,
  type HandOverAnswer,
  type HandOverQuestion,
  type ReloadedSettings,
  type Revoked,
  type RevokeTarget,
  ROWS_MAX,
  SHORT_ID_LENGTH,
  type Shown,
  type ShownGrant,
  type ShownLimits,
  type ShownSession,
} from './protocol.ts';
import { rotateKey } from './rotate-key.ts';

/** Answers one question; rejects with a `StoreError`. */
export type ControlActions = (
  question: ControlQuestion,
) => Promise<Result<ControlResults[ControlQuestion['action']], ControlFault>>;

export interface ControlActionsOptions extends ExamineParts {
  readonly store: Pick<Store, 'listings' | 'grants' | 'sealed'>;
  readonly keyring: Pick<Keyring, 'adopt' | 'currentKeyId'>;
  readonly sessions: Pick<SessionRegistry, 'activity' | 'endGrant' | 'endSession'>;
  /**
   * Reads the settings again, or hands over to another program; a failure is all sentences about
   * why nothing has changed.
   */
  readonly reload: (
    handOver: boolean,
  ) => Promise<Result<ReloadedSettings | HandedOver, readonly string[]>>;
  /** What a successor of this broker asks. */
  readonly handOver: (question: HandOverQuestion) => Promise<Result<HandOverAnswer, ControlFault>>;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What the administrator may ask of the broker that runs. No answer holds a token or its digest. */
export function createControlActions(options: ControlActionsOptions): ControlActions {
  return async (question) => {
    switch (question.action) {
      case 'sessions':
        return ok(await listSessions(options, question.filter));
      case 'grants':
        return ok(await listGrants(options, question.filter));
      case 'revoke':
        return revoke(options, question.target);
      case 'rotate_key':
        return ok(await rotateKey(options, question.key));
      case 'examine':
        return ok(await examine(options));
      case 'hand_over':
        return options.handOver(question);
      case 'reload': {
        const reloaded = await options.reload(question.handOver);
        return reloaded.ok ? reloaded : err(refusal(reloaded.error));
      }
    }
  };
}

async function listSessions(
  { store, sessions }: ControlActionsOptions,
  filter: ListFilter,
): Promise<Shown<ShownSession>> {
  const rows = await store.listings.sessions(filter, ROWS_MAX + 1);
  const activity = sessions.activity();
  const shown = ({ idDigest, ...row }: ListedSession): ShownSession => {
    const { pid, callsWaiting = 0 } = activity.get(idDigest) ?? {};
    // With the whole digest nobody could open the session, but nobody needs it here either.
    return { id: idDigest.slice(0, SHORT_ID_LENGTH), ...row, pid: pid ?? null, callsWaiting };
  };
  return { rows: rows.slice(0, ROWS_MAX).map(shown), more: rows.length > ROWS_MAX };
}

async function listGrants(
  { store }: ControlActionsOptions,
  filter: ListFilter,
): Promise<Shown<ShownGrant>> {
  const rows = await store.listings.grants(filter, ROWS_MAX + 1);
  const shown = ({ permission, ...row }: ListedGrant): ShownGrant => ({
    ...row,
    limits: permission === null ? null : limitsIn(permission),
  });
  return { rows: rows.slice(0, ROWS_MAX).map(shown), more: rows.length > ROWS_MAX };
}

function limitsIn(permission: string): ShownLimits {
  const { toolsets, targets } = JSON.parse(permission) as ShownLimits;
  return { toolsets, targets };
}

async function revoke(
  options: ControlActionsOptions,
  target: RevokeTarget,
): Promise<Result<Revoked, ControlFault>> {
  switch (target.kind) {
    case 'grant':
      return revokeGrants(options, [target.id], `There is no live grant ${target.id}.`);
    case 'login':
      return revokeLogin(options, target.login);
    case 'session':
      return endSession(options, target.shortId);
  }
}

async function revokeLogin(
  options: ControlActionsOptions,
  login: string,
): Promise<Result<Revoked, ControlFault>> {
  const ids: string[] = [];
  // Ended ones leave the list, so the next round begins behind them.
  for (;;) {
    const rows = await options.store.listings.grants({ login }, ROWS_MAX);
    if (rows.length === 0) break;
    const ended = await endGrants(
      options,
      rows.map(({ id }) => id),
    );
    ids.push(...ended);
  }
  return ids.length === 0
    ? notFound(`There is no live grant of ${login}.`)
    : ok({ grants: ids, sessions: [] });
}

async function revokeGrants(
  options: ControlActionsOptions,
  ids: readonly string[],
  missing: string,
): Promise<Result<Revoked, ControlFault>> {
  const ended = await endGrants(options, ids);
  return ended.length === 0 ? notFound(missing) : ok({ grants: ended, sessions: [] });
}

/** Ends grants and what works under them; returns the ids of those that had not ended before. */
async function endGrants(
  { store, sessions, log, metrics }: ControlActionsOptions,
  ids: readonly string[],
): Promise<string[]> {
  const ended: string[] = [];
  for (const id of ids) {
    if (!(await store.grants.end(id, 'revoked'))) continue;
    metrics.grantsEnded.inc({ reason: 'revoked' });
    log.info('grant.ended', { grant: id, reason: 'revoked', by: 'control' });
    ended.push(id);
  }
  // The tokens are refused by now; the programs go together.
  await Promise.all(ended.map((id) => sessions.endGrant(id, 'revoked')));
  return ended;
}

async function endSession(
  { store, sessions, log }: ControlActionsOptions,
  shortId: string,
): Promise<Result<Revoked, ControlFault>> {
  const [digest, another] = await store.listings.sessionsNamed(shortId);
  if (another !== undefined) return notFound(`More than one session begins with ${shortId}.`);
  const id = digest?.slice(0, SHORT_ID_LENGTH);
  if (digest === undefined || id === undefined || !(await sessions.endSession(digest, 'revoked'))) {
    return notFound(`There is no session ${shortId}.`);
  }
  log.info('control.session_ended', { session: id });
  return ok({ grants: [], sessions: [id] });
}

function refusal(sentences: readonly string[]): ControlFault {
  return { kind: 'refused', message: sentences.join('\n') };
}

function notFound(message: string): Result<never, ControlFault> {
  return err({ kind: 'not_found', message });
}
