import type { Scope } from './scopes.ts';
import type { TargetRule } from './target-rule.ts';
import type { Toolset } from './toolsets.ts';

/** What the catalogue says of one tool. */
export interface Tool {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** The least that a call needs. */
  readonly scope: Scope;
  /** A second call with the same arguments changes nothing more. */
  readonly idempotent: boolean;
  readonly toolset: Toolset | 'any';
  readonly target: TargetRule;
  /** Arguments that may name a branch of another owner's fork. */
  readonly forks: readonly string[];
  /** Arguments with which a call needs `forgejo:delete`. */
  readonly raisedBy: readonly string[];
  /** Arguments that name a file of the machine that the tool runs on. */
  readonly hostFiles: readonly string[];
  /** The arguments that `target` reads. */
  readonly places: readonly string[];
  /** All arguments that decide about a call. */
  readonly deciding: ReadonlySet<string>;
}
