import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { EVERYTHING } from '../../app/tools/permission.ts';
import { decideCall } from '../../app/tools/policy.ts';
import { reviewedCatalogue } from '../support/catalogue.ts';

const catalogue = reviewedCatalogue();
const RUNS = 5_000;
const SITE = 'repos/acme/site/contents';
const ACME = 'orgs/acme/members';

type Pair = readonly [name: string, value: unknown];

/** Names and parts of names that somebody could try, beside anything at all. */
const tricky = fc.oneof(
  fc.constantFrom('acme', 'site', 'ACME', 'Site', 'other', 'secret', 'acme2', ' acme', 'acme\0'),
  fc.constantFrom('..', '.', '...', '', '*', 'acme/site', 'acme/..', '../other', 'acme%2fsite'),
  fc.constantFrom('..%2fother', '%2e%2e', '%252e%252e', 'site\\..', 'site/../../other', 'ſite'),
  fc.constantFrom(
    'a\tcme',
    '.\n.',
    'site?x',
    'site#x',
    'site;x',
    '\u212Aube',
    'ａｃｍｅ',
    'other:x',
  ),
  fc
    .array(fc.constantFrom('.', '/', '%2e', '%2F', '\\', 'acme', 'other', '\t', '%25'))
    .map((parts) => parts.join('')),
  fc.string(),
);

const value = fc.oneof(
  { weight: 4, arbitrary: tricky },
  fc.integer(),
  fc.constantFrom(null, true, [], {}),
  fc.array(tricky, { maxLength: 2 }),
  fc.record({ owner: tricky, repo: tricky }),
);

function spellings(name: string) {
  return fc.constantFrom(name, name, name, name.toUpperCase(), `${name} `, `x${name}`);
}

function pairs(names: readonly string[]) {
  const pair = fc.oneof(...names.map((name) => fc.tuple(spellings(name), value)));
  return fc.array(pair, { maxLength: 6 });
}

/** JSON with each pair, however often its name stands there, some names escaped. */
function objectText(members: readonly (readonly [string, string])[], escaped: boolean): string {
  const key = (name: string) =>
    escaped ? JSON.stringify(name).replace('o', '\\u006f') : JSON.stringify(name);
  return `{${members.map(([name, text]) => `${key(name)}:${text}`).join(',')}}`;
}

/**
 * What some reader could take for an argument: exactly or whatever its case, of several the first or
 * the last; as text or not at all.
 */
function readings(given: readonly Pair[], name: string): readonly string[] {
  const exact = given.filter(([one]) => one === name);
  const loose = given.filter(([one]) => one.toLowerCase() === name);
  const found = [exact[0], exact.at(-1), loose[0], loose.at(-1)];
  return found.flatMap((pair) => {
    const read = pair?.[1];
    return typeof read === 'string' || typeof read === 'number' ? [String(read)] : [];
  });
}

/** Where a request would go: escaped or not, decoded on the way or not, always normalized. */
function addresses(parts: readonly string[]): readonly string[] {
  const raw = parts.join('/');
  const decoded = [raw, decodeAll(raw, 1), decodeAll(raw, 2), decodeAll(raw, 8)];
  return decoded.map((path) => {
    const kept: string[] = [];
    for (const part of path.replaceAll(/[\t\n\r]/g, '').split(/[/\\]/)) {
      if (part === '..') kept.pop();
      else if (part !== '.') kept.push(part);
    }
    return kept.join('/').toLowerCase();
  });
}

function decodeAll(text: string, times: number): string {
  let plain = text;
  for (let time = 0; time < times; time += 1) {
    plain = plain.replaceAll(/%[0-9a-f]{2}/gi, (code) =>
      String.fromCharCode(Number.parseInt(code.slice(1), 16)),
    );
  }
  return plain;
}

function allowed(name: string, args: string, targets: readonly string[]): boolean {
  const params = `{"name":${JSON.stringify(name)},"arguments":${args}}`;
  const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
  const permission = { ...EVERYTHING, targets };
  const message = { params: JSON.parse(params) as unknown, text };
  return (
    decideCall(message, { permission, ceiling: 'forgejo:delete' }, catalogue).kind === 'allowed'
  );
}

describe('[GHSA-4rm9-rfp2-j39q] a call that is allowed', () => {
  it('stays in its repository, whoever reads its arguments and builds the address', () => {
    let passed = 0;
    const seeded: Pair[] = [
      ['owner', 'acme'],
      ['repo', 'site'],
    ];
    fc.assert(
      fc.property(
        pairs(['owner', 'repo', 'filepath', 'ref']),
        fc.boolean(),
        fc.boolean(),
        (given, escaped, seed) => {
          const all = (seed ? [...seeded, ...given] : given).map(
            ([name, one]): Pair => [name === 'filepath' ? 'filePath' : name, one],
          );
          const text = objectText(
            all.map(([name, one]) => [name, JSON.stringify(one)] as const),
            escaped,
          );
          if (!allowed('get_file_content', text, ['acme/site'])) return;
          passed += 1;
          const [owners, repos] = [readings(all, 'owner'), readings(all, 'repo')];
          const paths = [...all.flatMap(([, one]) => (typeof one === 'string' ? [one] : [])), ''];
          expect(owners.length * repos.length).toBeGreaterThan(0);
          for (const owner of owners) {
            for (const repo of repos) {
              for (const path of paths) {
                const reached = addresses(['repos', owner, repo, 'contents', path]);
                expect(reached.filter((one) => !one.startsWith(SITE))).toEqual([]);
              }
            }
          }
        },
      ),
      { numRuns: RUNS },
    );
    // Otherwise it has proven nothing.
    expect(passed).toBeGreaterThan(RUNS / 50);
  });

  it('stays in its organisation', () => {
    let passed = 0;
    fc.assert(
      fc.property(pairs(['org', 'user']), fc.boolean(), fc.boolean(), (given, escaped, seed) => {
        const all = seed ? [['org', 'Acme'] as const, ...given] : given;
        const text = objectText(
          all.map(([name, one]) => [name, JSON.stringify(one)] as const),
          escaped,
        );
        if (!allowed('remove_org_member', text, ['acme'])) return;
        passed += 1;
        const orgs = readings(all, 'org');
        expect(orgs.length).toBeGreaterThan(0);
        for (const org of orgs) {
          for (const user of ['', ...readings(all, 'user')]) {
            const reached = addresses(['orgs', org, 'members', user]);
            expect(reached.filter((one) => !one.startsWith(ACME))).toEqual([]);
          }
        }
      }),
      { numRuns: RUNS },
    );
    expect(passed).toBeGreaterThan(RUNS / 50);
  });
});
