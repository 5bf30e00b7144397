import type { GrantEndReason } from '../store/grants.ts';
import type { AuthorizationServerParts } from './parts.ts';

type GrantParts = Pick<AuthorizationServerParts, 'store' | 'log' | 'metrics' | 'onGrantEnded'>;

/** Ends a grant: its tokens are worth nothing from the next request on, what works under it stops. */
export async function endGrant(
  grantId: string,
  reason: GrantEndReason,
  parts: GrantParts,
): Promise<void> {
  if (await parts.store.grants.end(grantId, reason)) noteGrantEnded(grantId, reason, parts);
}

/** The same for a grant that the store has ended by itself, in the transaction that saw the reuse. */
export function noteGrantEnded(
  grantId: string,
  reason: GrantEndReason,
  parts: Omit<GrantParts, 'store'>,
): void {
  parts.metrics.grantsEnded.inc({ reason });
  parts.log[reason === 'revoked' ? 'info' : 'warn']('grant.ended', { grant: grantId, reason });
  parts.onGrantEnded(grantId, reason);
}
