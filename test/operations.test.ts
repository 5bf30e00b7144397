import { describe, expect, it } from 'bun:test';
import { readFileSync } from 'node:fs';
import { Glob } from 'bun';

const ROOT = Bun.fileURLToPath(new URL('..', import.meta.url));
const PAGE = readFileSync(`${ROOT}docs/operations.md`, 'utf8');

/** Texts of the same form that are no events: columns of the store, names of files. */
const NO_EVENT = /^'(accounts|authorization_requests|meta)\.|\.(db|js|key|sqlite|toml|ts)'$/;

/** The names that templates of the source stand for. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  'client.${registration.kind}': ['client.registered', 'client.existing'],
  'account.${state}': ['account.needs_sign_in', 'account.disabled'],
};

interface Used {
  readonly event: string;
  /** Undefined where it is decided at run time. */
  readonly level: string | undefined;
}

/** Every event that the program may log; the demo's forge is no part of an installed broker. */
const used: readonly Used[] = [...new Glob('app/**/*.ts').scanSync(ROOT)]
  .filter((path) => !path.startsWith('app/demo/') && path !== 'app/command/demo.ts')
  .flatMap((path) => eventsOf(readFileSync(`${ROOT}${path}`, 'utf8')));

/** The rows of the tables of events: name and level. */
const told = [...PAGE.matchAll(/^\| `([a-z_]+\.[a-z_]+)` \| (\w+) \| (.+) \|$/gm)].map(
  ([, event = '', level = '', meaning = '']) => ({ event, level, meaning }),
);

describe('docs/operations.md', () => {
  it('tells every event that the program logs, and no other, once each', () => {
    expect(told.map(({ event }) => event).toSorted()).toEqual(
      [...new Set(used.map(({ event }) => event))].toSorted(),
    );
  });

  it('tells the level of each event that has one', () => {
    const wrong = told.filter(({ event, level }) => {
      const levels = used.filter((one) => one.event === event).flatMap((one) => one.level ?? []);
      return levels.length > 0 && !levels.includes(level);
    });
    expect(wrong).toEqual([]);
  });

  it('names every look of doctor in a row of its own', () => {
    const looks = [...new Glob('app/doctor/*.ts').scanSync(ROOT)].flatMap((path) =>
      [...readFileSync(`${ROOT}${path}`, 'utf8').matchAll(/\bname: '([a-z-]+)', run/g)].map(
        ([, name]) => name ?? '',
      ),
    );
    const rows = PAGE.split('## Doctor')[1]?.split('\n## ')[0] ?? '';
    expect(looks.length).toBeGreaterThan(15);
    for (const name of looks) expect(rows).toMatch(new RegExp(`^\\| .*\`${name}\``, 'm'));
  });
});

function eventsOf(source: string): Used[] {
  const literals = [...source.matchAll(/'[a-z_]+\.[a-z_]+'/g)]
    .filter(([text]) => !NO_EVENT.test(text))
    .map((match) => ({
      event: match[0].slice(1, -1),
      level: /\.(error|warn|info|debug)\(\s*$/.exec(source.slice(0, match.index))?.[1],
    }));
  const templates = [...source.matchAll(/\.(error|warn|info|debug)\(\s*`([^`]+)`/g)].flatMap(
    ([, level, text = '']) => {
      const events = TEMPLATES[text];
      if (events === undefined) throw new Error(`which events does ${text} stand for?`);
      return events.map((event) => ({ event, level }));
    },
  );
  return [...literals, ...templates];
}
