/** Why a grant ended by an act; `prune` ends those of which nothing lives any more (`expired`). */
export type GrantEndReason = 'revoked' | 'code_reuse' | 'refresh_reuse' | 'client_removed';

/** What one person allowed one client; ended ones stay as tombstones for a time. */
export interface Grant {
  readonly id: string;
  readonly accountId: number;
  readonly clientId: string;
  readonly scope: string;
  readonly resource: string;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly endedAt: number | null;
  readonly endReason: GrantEndReason | 'expired' | null;
}

export interface Grants {
  find(id: string): Promise<Grant | undefined>;
  /** Ends it: its tokens are refused from the next request on. False when it was ended already. */
  end(id: string, reason: GrantEndReason): Promise<boolean>;
  /** Notes a use now; written within seconds. */
  used(id: string): void;
  /** The grants of a person that have not ended, oldest first. */
  listLive(accountId: number): Promise<readonly Grant[]>;
}
