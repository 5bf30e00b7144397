import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { Parameters } from '../../app/oauth/parameters.ts';
import { proposedChoice, readChoice } from '../../app/oauth/permission-choice.ts';
import { serializePermission } from '../../app/tools/permission.ts';
import { createScopeLimits } from '../../app/tools/scope-limits.ts';
import { SCOPES, scopeAllows } from '../../app/tools/scopes.ts';
import { parseTarget } from '../../app/tools/targets.ts';
import { TOOLSETS } from '../../app/tools/toolsets.ts';

const scope = fc.constantFrom(...SCOPES);
const limits = fc
  .record({ maxScope: scope, defaultScope: scope })
  .map((settings) => createScopeLimits(() => settings));
const toolsets = fc.subarray([...TOOLSETS]);
const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/);
const place = fc.oneof(
  name,
  fc.tuple(name, fc.oneof(name, fc.constant('*'))).map((parts) => parts.join('/')),
);
/** What people write, and what nobody should. */
const written = fc.oneof(
  fc.array(fc.oneof(place, fc.string({ maxLength: 12 }))).map((parts) => parts.join('\n')),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.stringMatching(/^[\s,]{0,8}$/),
);

function form(fields: {
  readonly scope: string;
  readonly toolsets: readonly string[];
  readonly targets: string;
}): Parameters {
  const encoded = new URLSearchParams({ scope: fields.scope, targets: fields.targets });
  for (const each of fields.toolsets) encoded.append('toolset', each);
  return new Parameters(String(encoded));
}

describe('a choice that was taken', () => {
  it('S12: is never more than was chosen, and never above the ceiling', () => {
    fc.assert(
      fc.property(scope, toolsets, written, limits, (chosen, ticked, targets, allowed) => {
        const read = readChoice(form({ scope: chosen, toolsets: ticked, targets }), allowed);
        if (!read.ok) return;
        const { value } = read;
        expect(value.scope).toBe(chosen);
        expect(scopeAllows(allowed.max(), value.scope)).toBe(true);
        expect(value.toolsets === 'all').toBe(ticked.length === TOOLSETS.length);
        if (value.toolsets !== 'all') expect([...value.toolsets]).toEqual(ticked);
        // Everywhere is what an empty field says, and nothing that only looks empty to a parser.
        const words = targets.split(/[\s,]+/).filter((word) => word !== '');
        expect(value.targets === 'all').toBe(words.length === 0);
        if (value.targets === 'all') return;
        const canonical = words.map((word) => parseTarget(word));
        expect(canonical.every(({ ok }) => ok)).toBe(true);
        expect(new Set(value.targets)).toEqual(
          new Set(canonical.map((one) => (one.ok ? one.value : ''))),
        );
      }),
    );
  });

  it('is proposed again as it was, but for a ceiling that is lower now', () => {
    fc.assert(
      fc.property(
        scope,
        fc.subarray([...TOOLSETS], { minLength: 1 }),
        fc.array(place, { maxLength: 5 }),
        limits,
        (chosen, ticked, places, now) => {
          const generous = createScopeLimits(() => ({
            maxScope: 'forgejo:delete',
            defaultScope: 'forgejo:write',
          }));
          const sent = form({ scope: chosen, toolsets: ticked, targets: places.join(' ') });
          const first = readChoice(sent, generous);
          if (!first.ok) throw new Error(first.error.sentence);
          const earlier = serializePermission(first.value);
          const proposed = proposedChoice({ asked: undefined, earlier, limits: now });
          expect(scopeAllows(now.max(), proposed.scope)).toBe(true);
          const ticks = proposed.toolsets === 'all' ? TOOLSETS : proposed.toolsets;
          const again = readChoice(form({ ...proposed, toolsets: ticks }), now);
          if (!again.ok) throw new Error(again.error.sentence);
          const { toolsets: kept, targets } = again.value;
          expect({ kept, targets }).toEqual({
            kept: first.value.toolsets,
            targets: first.value.targets,
          });
        },
      ),
    );
  });
});

describe('a proposal', () => {
  it('passes over a permission that cannot be read', () => {
    const now = createScopeLimits(() => ({
      maxScope: 'forgejo:delete',
      defaultScope: 'forgejo:read',
    }));
    for (const earlier of ['', '{}', 'null', '{"scope":"forgejo:delete"}']) {
      const proposed = proposedChoice({ asked: undefined, earlier, limits: now });
      expect(proposed).toEqual({ scope: 'forgejo:read', toolsets: 'all', targets: '' });
    }
  });
});
