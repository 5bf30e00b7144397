import type { Digest } from '../base/secret.ts';

/** How a client proves who it is at the token endpoint (RFC 7591 section 2). */
export type ClientAuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post';

/** A client as registered (`dcr`, RFC 7591) or as written in the configuration (`static`). */
export interface Client {
  readonly id: string;
  readonly kind: 'dcr' | 'static';
  readonly name: string;
  readonly redirectUris: readonly string[];
  /**
   * A static client with a secret has `client_secret_basic`: its configuration does not say which,
   * so either way of sending the secret is right for it.
   */
  readonly authMethod: ClientAuthMethod;
  /** Digest of the client secret; null exactly when the method is `none`. */
  readonly secretDigest: Digest | null;
  readonly applicationType: string | null;
  readonly clientUri: string | null;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

/** A dynamic registration that was checked and got its id. */
export interface NewClient {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly authMethod: ClientAuthMethod;
  readonly secretDigest: Digest | null;
  readonly applicationType: string | null;
  readonly clientUri: string | null;
}

/** A client of the configuration; public when it has no secret. */
export interface StaticClient {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly secretDigest: Digest | null;
}

export type Registration =
  | { readonly kind: 'registered'; readonly client: Client }
  | { readonly kind: 'existing'; readonly client: Client }
  | { readonly kind: 'full' };

export interface Clients {
  /**
   * Keeps a registration. A public one (`none`) that is identical but for its id gives the
   * `existing` client. With `clientsMax` dynamic clients the oldest one that was never used, has no
   * login on its way and is older than an hour makes room; when there is none, `full`.
   */
  register(client: NewClient, clientsMax: number): Promise<Registration>;
  /** Undefined too for a static client that the configuration no longer has. */
  find(id: string): Promise<Client | undefined>;
  /**
   * Makes the static clients those of the configuration. A removed one is retired and its live
   * grants end (`client_removed`); returns the ids of these grants.
   */
  syncStatic(clients: readonly StaticClient[]): Promise<readonly string[]>;
  /** Notes a use now; written within seconds. */
  used(id: string): void;
}
