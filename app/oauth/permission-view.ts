import type { ChoicesView, Meaning, PermissionView } from '../pages/views.ts';
import type { Permission } from '../tools/permission.ts';
import type { ScopeLimits } from '../tools/scope-limits.ts';
import { FULL_SCOPE, lowerScope, SCOPE_MEANING, scopesUpTo } from '../tools/scopes.ts';
import { TOOLSET_MEANING, TOOLSETS } from '../tools/toolsets.ts';
import type { Choice } from './permission-choice.ts';

/** A choice as the form of the consent page shows it; nothing above the ceiling is offered. */
export function choicesView(
  { scope, toolsets, targets }: Choice,
  limits: ScopeLimits,
  fault: string | null,
): ChoicesView {
  return {
    scopes: scopesUpTo(limits.max()).map((value) => ({
      ...meaning(SCOPE_MEANING[value]),
      value,
      chosen: value === scope,
      isGrave: value === FULL_SCOPE,
    })),
    isCut: limits.max() !== FULL_SCOPE,
    toolsets: TOOLSETS.map((value) => ({
      ...meaning(TOOLSET_MEANING[value]),
      value,
      chosen: toolsets === 'all' || toolsets.includes(value),
      isGrave: false,
    })),
    targets,
    isNarrowed: toolsets !== 'all' || targets !== '',
    fault,
  };
}

/** What was chosen, for the page that asks a last time. */
export function permissionView(permission: Permission, limits: ScopeLimits): PermissionView {
  const { toolsets, targets } = permission;
  const scope = lowerScope(permission.scope, limits.max());
  return {
    isEverything: scope === FULL_SCOPE,
    scope: meaning(SCOPE_MEANING[scope]),
    toolsets: toolsets === 'all' ? null : toolsets.map((name) => titleOf(TOOLSET_MEANING[name])),
    targets: targets === 'all' ? null : targets,
  };
}

/** The texts of the catalogue are a title, and after a colon what stands behind it. */
function meaning(text: string): Meaning {
  const title = titleOf(text);
  return { title, detail: text.slice(title.length + 2) };
}

function titleOf(text: string): string {
  const [title = text] = text.split(': ', 1);
  return title;
}
