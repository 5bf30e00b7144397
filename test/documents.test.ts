import { describe, expect, it } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Glob } from 'bun';
import { createCatalogue } from '../app/tools/catalogue.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The rows of a document's tables whose first cell is in `ids`, with the test files they name. */
function rowsOf(document: string, isId: (cell: string) => boolean) {
  return readFileSync(`${ROOT}docs/${document}`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(' | '))
    .filter(([id = '']) => isId(id))
    .map((cells) => ({
      id: cells[0] ?? '',
      files: [...(cells.at(-1) ?? '').matchAll(/`([^`]+)`/g)].map(([, file]) => file ?? ''),
    }));
}

function textOf(file: string): string {
  const path = `${ROOT}test/${file}`;
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

describe('docs/conformance.md', () => {
  const rows = rowsOf('conformance.md', (cell) => /^[A-Z]\d+$/.test(cell));

  it('names every rule that this version owns', () => {
    const owned = [
      ...range('D', 1, 13).filter((id) => id !== 'D10'),
      ...range('R', 1, 8),
      ...range('E', 1, 14),
      ...range('B', 1, 9),
      ...[...range('S', 1, 5), ...range('S', 7, 12)],
      ...range('T', 1, 30),
      ...[...range('P', 1, 6), ...range('P', 8, 11)],
    ];
    const missing = owned.filter((id) => !rows.some((row) => row.id === id));
    expect(missing).toEqual([]);
  });

  for (const { id, files } of rows) {
    it(`${id}: has a test that carries its number`, () => {
      expect(files.length).toBeGreaterThan(0);
      expect(files.filter((file) => !carries(textOf(file), id))).toEqual([]);
    });
  }
});

describe('docs/threat-model.md', () => {
  const rows = rowsOf('threat-model.md', (cell) => /GHSA-|CVE-|#\d|class|upstream|OX/.test(cell));

  it('has the rows', () => {
    expect(rows.length).toBeGreaterThanOrEqual(16);
  });

  for (const { id, files } of rows) {
    it(`[${id}] has a test that carries an id of the row`, () => {
      const ids = id.split(', ').filter((one) => !/^#\d+$/.test(one));
      expect(files.length).toBeGreaterThan(0);
      const without = files.filter((file) => !ids.some((one) => textOf(file).includes(one)));
      expect(without).toEqual([]);
    });
  }
});

describe('the documents', () => {
  it('link only to files that exist', () => {
    const documents = ['README.md', ...new Glob('docs/**/*.md').scanSync(ROOT)];
    expect(documents.length).toBeGreaterThan(10);
    for (const document of documents) {
      const text = readFileSync(`${ROOT}${document}`, 'utf8');
      const folder = `${ROOT}${dirname(document)}/`;
      for (const [, link, image] of text.matchAll(/\]\(([^)#:]+)\)|src="([^":]+)"/g)) {
        const target = link ?? image ?? '';
        expect([document, target, existsSync(`${folder}${target}`)]).toEqual([
          document,
          target,
          true,
        ]);
      }
    }
  });
});

describe('docs/permissions.md', () => {
  const text = readFileSync(`${ROOT}docs/permissions.md`, 'utf8');

  it('counts the tools of each scope as the catalogue does', () => {
    const catalogue = createCatalogue();
    if (!catalogue.ok) throw new Error(catalogue.error.join('; '));
    const { names, find } = catalogue.value;
    const count = (scope: string) => names.filter((name) => find(name)?.scope === scope).length;
    expect(text).toContain(`${count('forgejo:read')} of forgejo-mcp's ${names.length} tools`);
    expect(text).toContain(`${count('forgejo:write')} more tools`);
    expect(text).toContain(`The other ${count('forgejo:delete')}: `);
  });

  it('has an example of a file of tools that is taken', () => {
    const [, example = ''] = /```toml\n([\s\S]*?)```/.exec(text) ?? [];
    const own = createCatalogue(example);
    expect(own.ok ? own.value.find('merge_pull_request')?.scope : own.error).toBe('forgejo:delete');
    expect(own.ok && own.value.find('close_milestone')?.scope).toBe('forgejo:write');
  });

  it('names every reason of a refusal', () => {
    const policy = readFileSync(`${ROOT}app/tools/policy.ts`, 'utf8');
    const [, union = ''] = /export type RefusalReason =([\s\S]*?);/.exec(policy) ?? [];
    const reasons = [...union.matchAll(/'(\w+)'/g)].map(([, reason]) => reason ?? '');
    expect(reasons.length).toBeGreaterThan(3);
    for (const reason of [...reasons, 'scope']) expect(text).toContain(`| \`${reason}\` |`);
  });
});

/** The number stands first in a test's name, alone or in a list: `B1: …`, `B1, B2: …`, `B1 B2: …`. */
function carries(text: string, id: string): boolean {
  return new RegExp(`['"\`](?:[A-Z]\\d+,? )*${id}(?:,? [A-Z]\\d+)*:`).test(text);
}

function range(letter: string, from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `${letter}${from + index}`);
}
