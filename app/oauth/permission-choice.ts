import { err, ok, type Result } from '../base/result.ts';
import { type Permission, parsePermission } from '../tools/permission.ts';
import type { ScopeLimits } from '../tools/scope-limits.ts';
import { isScope, lowerScope, type Scope, scopeAllows } from '../tools/scopes.ts';
import { parseTargetList } from '../tools/targets.ts';
import { isToolset, TOOLSETS, type Toolset } from '../tools/toolsets.ts';
import type { Parameters } from './parameters.ts';
import { ProblemError } from './problems.ts';

/** What the consent page shows as chosen; its targets are a person's text, good or not. */
export interface Choice {
  readonly scope: Scope;
  readonly toolsets: readonly Toolset[] | 'all';
  readonly targets: string;
}

/** A choice that cannot be taken, with the sentence that tells the person why. */
export interface ChoiceFault {
  readonly choice: Choice;
  readonly sentence: string;
}

/**
 * What the page proposes: the scope that the client asks for, and the limits that the person gave
 * the same client before, so that asking for more never takes them away unseen. A client that asks
 * for nothing is proposed what it had, or the operator's default. Never above the ceiling.
 */
export function proposedChoice(o: {
  readonly asked: Scope | undefined;
  /** JSON of the permission that the shown account gave this client last; null: none, or unchosen. */
  readonly earlier: string | null;
  readonly limits: ScopeLimits;
}): Choice {
  const chosen = o.earlier === null ? undefined : parsePermission(o.earlier);
  const earlier = chosen?.ok === true ? chosen.value : undefined;
  const wanted = o.asked ?? earlier?.scope ?? o.limits.default();
  const targets = earlier?.targets ?? 'all';
  return {
    scope: lowerScope(wanted, o.limits.max()),
    toolsets: earlier?.toolsets ?? 'all',
    targets: targets === 'all' ? '' : targets.join('\n'),
  };
}

/**
 * Reads the fields of the consent page. A mistake that a person can make is returned with what they
 * chose, to be shown again; what our page never sends throws `ProblemError`.
 */
export function readChoice(form: Parameters, limits: ScopeLimits): Result<Permission, ChoiceFault> {
  const scope = form.get('scope');
  const toolsets = form.getAll('toolset');
  if (!isScope(scope) || !toolsets.every(isToolset)) {
    throw new ProblemError({ kind: 'form_broken', status: 400 });
  }
  const choice: Choice = {
    scope: lowerScope(scope, limits.max()),
    // Every box: also what a later release adds, and tools that nobody has put into a set.
    toolsets: TOOLSETS.every((name) => toolsets.includes(name)) ? 'all' : toolsets,
    targets: form.get('targets') ?? '',
  };
  if (!scopeAllows(limits.max(), scope)) return err({ choice, sentence: CEILING_LOWERED });
  if (toolsets.length === 0) return err({ choice, sentence: NO_TOOLSET });
  const targets = parseTargetList(choice.targets);
  if (!targets.ok) return err({ choice, sentence: `The list of places: ${targets.error}.` });
  return ok({
    scope: choice.scope,
    toolsets: choice.toolsets,
    targets: targets.value.length === 0 ? 'all' : targets.value,
  });
}

const CEILING_LOWERED =
  'The administrator of this server has just lowered what applications may do. Please look again.';
const NO_TOOLSET = 'Please choose at least one kind of tool, or refuse.';
