import type { TargetPlace } from './target-rule.ts';
import { folded, isName, type TargetPattern } from './targets.ts';
import type { Tool } from './tool.ts';
import { argument, type ToolCall } from './tool-call.ts';

/** What a call touches; the names are as the caller wrote them. */
export type Target =
  | { readonly kind: 'repository'; readonly owner: string; readonly repo: string }
  | { readonly kind: 'repositories'; readonly owner: string }
  | { readonly kind: 'organization'; readonly owner: string };

/** All that a call touches; undefined when its arguments do not tell. */
export function targetsOf(call: ToolCall, tool: Tool): readonly Target[] | undefined {
  switch (tool.target.kind) {
    case 'none':
      return [];
    case 'unknown':
      return undefined;
    case 'told': {
      const targets = tool.target.places.map((place) => targetAt(call, place));
      const forks = tool.forks.map((name) => forkOf(argument(call, name)));
      const all = [...targets, ...forks.filter((fork) => fork !== 'none')];
      return all.every((target) => target !== undefined) ? all : undefined;
    }
  }
}

/** Whether one of the patterns is for this target. */
export function targetAllowed(target: Target, patterns: readonly TargetPattern[]): boolean {
  const owner = folded(target.owner);
  switch (target.kind) {
    case 'organization':
      return patterns.includes(owner);
    case 'repositories':
      return patterns.includes(`${owner}/*`);
    case 'repository':
      return (
        patterns.includes(`${owner}/*`) || patterns.includes(`${owner}/${folded(target.repo)}`)
      );
  }
}

/** Whether there are arguments with which this tool would be allowed. */
export function targetConceivable(tool: Tool, patterns: readonly TargetPattern[]): boolean {
  switch (tool.target.kind) {
    case 'none':
      return true;
    case 'unknown':
      return false;
    case 'told':
      return tool.target.places.every(({ kind }) =>
        patterns.some((pattern) => {
          if (kind === 'organization') return !pattern.includes('/');
          return kind === 'repositories' ? pattern.endsWith('/*') : pattern.includes('/');
        }),
      );
  }
}

/** `owner/repo`, `owner/*` or `owner`: how people and logs name it. */
export function targetText(target: Target): string {
  switch (target.kind) {
    case 'repository':
      return `${target.owner}/${target.repo}`;
    case 'repositories':
      return `${target.owner}/*`;
    case 'organization':
      return target.owner;
  }
}

function targetAt(call: ToolCall, place: TargetPlace): Target | undefined {
  const owner = argument(call, place.owner);
  if (!isName(owner)) return undefined;
  if (place.kind !== 'repository') return { kind: place.kind, owner };
  const repo = place.repo.map((name) => argument(call, name)).find((value) => value !== undefined);
  return isName(repo) ? { kind: 'repository', owner, repo } : undefined;
}

/** `owner:branch` is a branch in some fork of that owner, `owner/repo:branch` in that one. */
function forkOf(value: unknown): Target | 'none' | undefined {
  if (value === undefined) return 'none';
  if (typeof value !== 'string') return undefined;
  const colon = value.indexOf(':');
  if (colon === -1) return 'none';
  const [owner, repo, ...more] = value.slice(0, colon).split('/');
  if (!isName(owner) || more.length > 0) return undefined;
  if (repo === undefined) return { kind: 'repositories', owner };
  return isName(repo) ? { kind: 'repository', owner, repo } : undefined;
}
