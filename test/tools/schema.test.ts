import { describe, expect, it } from 'bun:test';
import { readFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020';
import { catalogueFaults } from '../../app/tools/catalogue.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const validate = new Ajv2020({ allErrors: true, strict: true }).compile(
  JSON.parse(read('docs/tools-file.schema.json')) as object,
);

const NEW = 'title = "T", toolset = "any", target = "none"';

describe('the schema of a catalogue', () => {
  it('holds for the reviewed one', () => {
    const valid = validate(Bun.TOML.parse(read('app/tools/catalogue.toml')));
    expect(validate.errors).toBeNull();
    expect(valid).toBe(true);
  });

  const files: readonly (readonly [toml: string, right: boolean])[] = [
    ['', true],
    ['text = ["note"]', true],
    ['text = ["a note"]', false],
    ['text = "note"', false],
    ['other = 1', false],
    ['tools = 1', false],
    ['[tools]\nget_org = {}', true],
    ['[tools]\nget_org = 1', false],
    ['[tools]\n"a b" = {}', false],
    [`[tools]\nmine = { class = "read", ${NEW} }`, true],
    [`[tools]\nmine = { class = "admin", ${NEW} }`, false],
    ...['"none"', '"{a}"', '"{a}/*"', '"{a}/{b|c}"', '["{a}", "{b}/{c}"]'].map(
      (target) => [`[tools]\nget_org = { target = ${target} }`, true] as const,
    ),
    ...['"{a}/b"', '"a"', '[]', '["none"]', '"{a}/{b}/{c}"', '1'].map(
      (target) => [`[tools]\nget_org = { target = ${target} }`, false] as const,
    ),
    ['[tools]\nget_org = { toolset = "wiki" }', true],
    ['[tools]\nget_org = { toolset = "wikis" }', false],
    ['[tools]\nget_org = { idempotent = 1 }', false],
    ['[tools]\nget_org = { title = "" }', false],
    ['[tools]\nget_org = { forks = ["head"], raised_by = [], host_files = ["x"] }', true],
    ['[tools]\nget_org = { forks = "head" }', false],
    ['[tools]\nget_org = { reason = 1 }', false],
    ['[tools]\nget_org = { klass = "read" }', false],
  ];
  for (const [toml, right] of files) {
    it(`${right ? 'takes' : 'refuses'}, as the broker does: ${JSON.stringify(toml)}`, () => {
      expect(validate(Bun.TOML.parse(toml))).toBe(right);
      expect(catalogueFaults(toml).length === 0).toBe(right);
    });
  }
});
