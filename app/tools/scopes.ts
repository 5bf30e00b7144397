/** The permissions that a grant can hold. There is one: full access. */
export const SCOPES = ['forgejo:delete'] as const;
export type Scope = (typeof SCOPES)[number];

/** What every grant holds, whatever a client asks for. */
export const FULL_SCOPE: Scope = 'forgejo:delete';

/** What a scope allows, in the words that people and clients read. */
export const SCOPE_MEANING: Readonly<Record<Scope, string>> = {
  'forgejo:delete':
    'Full access: this connection can do everything your Forgejo account can do through the tools, deleting included.',
};
