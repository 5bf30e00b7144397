/** What a connection can be allowed, from the least to the most; each holds those before it. */
export const SCOPES = ['forgejo:read', 'forgejo:write', 'forgejo:delete'] as const;
export type Scope = (typeof SCOPES)[number];

/** The most that there is; what grants without a permission of their own hold. */
export const FULL_SCOPE: Scope = 'forgejo:delete';

/** What a scope allows, in the words that people and clients read. */
export const SCOPE_MEANING: Readonly<Record<Scope, string>> = {
  'forgejo:read': 'Read only: look at what your Forgejo account can see, and change nothing.',
  'forgejo:write':
    'Read and write: also create and change things, but nothing that destroys or cannot be undone.',
  'forgejo:delete':
    'Everything: whatever your Forgejo account can do through the tools, deleting included.',
};

/** Whether `held` is enough for what needs `needed`. */
export function scopeAllows(held: Scope, needed: Scope): boolean {
  return SCOPES.indexOf(held) >= SCOPES.indexOf(needed);
}

/** The lesser of two. */
export function lowerScope(a: Scope, b: Scope): Scope {
  return scopeAllows(a, b) ? b : a;
}

/** `scope` and all that it holds, the least first. */
export function scopesUpTo(scope: Scope): readonly Scope[] {
  return SCOPES.slice(0, SCOPES.indexOf(scope) + 1);
}

/**
 * The value of a `scope` parameter (RFC 6749 section 3.3) that grants or asks for `scope`: with all
 * that it holds, so that a client which compares lists as sets sees that the larger one is larger.
 */
export function scopeText(scope: Scope): string {
  return scopesUpTo(scope).join(' ');
}

/**
 * The largest scope that a `scope` parameter names; undefined when it names none of ours. Unknown
 * names and surplus spaces are passed over, since clients send both.
 */
export function largestScope(text: string): Scope | undefined {
  const named = new Set(text.split(' '));
  return SCOPES.findLast((scope) => named.has(scope));
}

/** Whether `value` is the name of a scope, in exactly this spelling. */
export function isScope(value: unknown): value is Scope {
  return SCOPES.some((scope) => scope === value);
}
