import type { Digest } from '../base/secret.ts';

/** An MCP session: owned by an account and a client, working under a grant. */
export interface SessionRow {
  /** Of the `Mcp-Session-Id`. */
  readonly idDigest: Digest;
  readonly accountId: number;
  readonly clientId: string;
  readonly grantId: string;
  readonly protocolVersion: string;
  /** JSON text of the client's `initialize` params. */
  readonly handshake: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
}

export interface Sessions {
  insert(session: SessionRow): Promise<void>;
  find(idDigest: Digest): Promise<SessionRow | undefined>;
  /** False when there was none. */
  delete(idDigest: Digest): Promise<boolean>;
  /** Returns how many there were. */
  deleteAll(): Promise<number>;
  /** Notes a use now; written within seconds. */
  used(idDigest: Digest): void;
}
