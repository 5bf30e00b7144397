import type { Clock } from '../base/clock.ts';
import type { Digest } from '../base/secret.ts';

/** How a client is told that a larger scope is needed. */
export interface StepUp {
  /**
   * Whether a challenge (403 `insufficient_scope`) may still lead somewhere. False for a client that
   * has answered one by a refresh, which can never widen a grant (RFC 6749 section 6): the first
   * generation of the official client does so, and at the second 403 throws the answer away with all
   * that it says to the person. It is told by the answer to its request instead.
   */
  challengeHelps(holder: StepUpHolder): boolean;
}

/** Who was refused: the grant, and the token that was sent. */
export interface StepUpHolder {
  readonly grantId: string;
  readonly token: Digest;
}

/** How soon after a challenge another token of the same grant counts as an answer to it. */
export const ANSWER_MS = 60 * 1000;
/** How long a client that answered by a refresh is spared another challenge. */
export const SPARED_MS = 60 * 60 * 1000;
/** Grants that are remembered; beyond it the oldest is forgotten, and challenged once more. */
export const REMEMBERED_MAX = 10_000;

/** Keeps nothing beyond the process: a client that was forgotten is challenged once more. */
export function createStepUp({ clock }: { readonly clock: Clock }): StepUp {
  const challenged = new Map<string, Challenged>();
  const remember = (grantId: string, entry: Challenged): boolean => {
    challenged.delete(grantId);
    challenged.set(grantId, entry);
    if (challenged.size > REMEMBERED_MAX) {
      for (const oldest of challenged.keys()) {
        challenged.delete(oldest);
        break;
      }
    }
    return entry.kind === 'challenged';
  };
  return {
    challengeHelps({ grantId, token }) {
      const now = clock.now();
      const before = challenged.get(grantId);
      if (before !== undefined && before.until > now) {
        if (before.kind === 'spared') return false;
        if (before.token !== token) {
          return remember(grantId, { kind: 'spared', until: now + SPARED_MS });
        }
      }
      return remember(grantId, { kind: 'challenged', token, until: now + ANSWER_MS });
    },
  };
}

type Challenged =
  | { readonly kind: 'challenged'; readonly token: Digest; readonly until: number }
  | { readonly kind: 'spared'; readonly until: number };
