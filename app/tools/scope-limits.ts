import { lowerScope, type Scope } from './scopes.ts';

/** What the operator allows. Asked at every use: it can change while the broker runs. */
export interface ScopeLimits {
  /** The most that any connection may do now, whatever it was granted. */
  readonly max: () => Scope;
  /** What is proposed where a client asks for nothing; never above the most. */
  readonly default: () => Scope;
}

/** The limits as the settings of this moment say. */
export function createScopeLimits(
  settings: () => { readonly maxScope: Scope; readonly defaultScope: Scope },
): ScopeLimits {
  return {
    max: () => settings().maxScope,
    default: () => {
      const { maxScope, defaultScope } = settings();
      return lowerScope(maxScope, defaultScope);
    },
  };
}
