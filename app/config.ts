import type { Secret } from './base/secret.ts';

/** A client that the administrator wrote into the configuration file. */
export interface StaticClientConfig {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  /** SHA-256 of the secret, base64url without padding; null for a public client. */
  readonly secretSha256: string | null;
}

/** Everything that the program is told; parsed, checked and in its own units. */
export interface Config {
  readonly listen: { readonly hostname: string; readonly port: number };
  /** `https://host` or `http://127.0.0.1:8080`; no trailing slash. The issuer, byte for byte. */
  readonly publicOrigin: string;
  /** Forgejo as browsers see it; a path prefix is allowed; no trailing slash. */
  readonly forgejoUrl: string;
  /** Forgejo as the broker and the children reach it; no trailing slash. */
  readonly forgejoInternalUrl: string;
  readonly forgejoClientId: string;
  readonly forgejoClientSecret: Secret;
  readonly forgejoScopes: readonly string[];
  readonly forgejoRefreshTokenTtlMs: number;
  readonly storePath: string;
  /** 32 bytes. */
  readonly storeKey: Uint8Array;
  /** Argument vector: the program's absolute path first, the internal URL filled in. */
  readonly childCommand: readonly string[];
  readonly maxSessions: number;
  readonly maxSessionsPerUser: number;
  readonly sessionIdleTimeoutMs: number;
  readonly accessTokenTtlMs: number;
  readonly refreshTokenTtlMs: number;
  readonly requestTimeoutMs: number;
  readonly stopGraceMs: number;
  readonly maxBodyBytes: number;
  readonly maxMessageBytes: number;
  readonly maxClients: number;
  readonly staticClients: readonly StaticClientConfig[];
  readonly redirectAllowlist: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly logFormat: 'json' | 'pretty';
}
