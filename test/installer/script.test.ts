import { describe, expect, it } from 'bun:test';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeWith, type Requirement } from '../support/requirements.ts';
import { INSTALLER } from './machine.ts';

const SCRIPT = readFileSync(INSTALLER, 'utf8');
const HELP = SCRIPT.slice(SCRIPT.indexOf("<<'HELP'"), SCRIPT.indexOf('\nHELP\n'));
const deploy = () =>
  readFileSync(fileURLToPath(new URL('../../docs/deploy.md', import.meta.url)), 'utf8');

const shellcheck: Requirement = {
  name: 'shellcheck',
  present: Bun.which('shellcheck') !== null,
  sentence: 'no shellcheck here: install the Debian package shellcheck to check install.sh',
};

describeWith(shellcheck, 'install.sh', () => {
  it('is clean for shellcheck', () => {
    const { stdout, exitCode } = Bun.spawnSync(['shellcheck', '-s', 'sh', INSTALLER]);
    expect({ told: stdout.toString(), exitCode }).toEqual({ told: '', exitCode: 0 });
  }, 60_000);
});

describe('the help of install.sh', () => {
  const flags = [...SCRIPT.matchAll(/^ {4}(--[a-z-]+)(?: \| -[a-z])?\)/gm)].map(
    ([, flag]) => flag ?? '',
  );

  it('names every flag that there is', () => {
    expect(flags.length).toBeGreaterThan(20);
    expect(flags.filter((flag) => flag !== '--help' && !HELP.includes(flag))).toEqual([]);
  });

  it('names a variable for every flag that says how or answers', () => {
    const without = flags.filter((flag) => {
      const line = HELP.split('\n').find((one) => one.trimStart().startsWith(`${flag} `)) ?? '';
      return !/FJMCP_/.test(line) && flag !== '--help';
    });
    expect(without).toEqual([]);
  });

  it('names every variable that is read, and no other', () => {
    const read = new Set([...SCRIPT.matchAll(/\$\{(FJMCP_[A-Z_]+):-/g)].map(([, name]) => name));
    // For tests, which have no time and too much room.
    for (const name of ['HEALTH_SECONDS', 'SETTLE_SECONDS', 'ROOM_KIB']) {
      read.delete(`FJMCP_INSTALL_${name}`);
    }
    const told = HELP.replace(/(FJMCP_[A-Z_]+)\[_FILE\]/g, '$1 $1_FILE');
    const named = new Set([...told.matchAll(/FJMCP_[A-Z_]+/g)].map(([name]) => name));
    expect([...named].sort()).toEqual([...read].sort() as string[]);
  });

  it('names every exit code', () => {
    const codes = [...SCRIPT.matchAll(/\b[A-Z]+=(\d+)(?=[ \n])/g)].map(([, code]) => Number(code));
    const told = [...HELP.slice(HELP.indexOf('Exit codes')).matchAll(/(?:^|\s)(\d+) [a-zA-Z]/g)];
    const known = told.map(([, code]) => Number(code));
    expect(codes.filter((code) => code >= 2 && code <= 15 && !known.includes(code))).toEqual([]);
    expect(known.filter((code) => code <= 15).length).toBeGreaterThanOrEqual(16);
  });
});

describe('docs/deploy.md', () => {
  it('names only flags that the installer has', () => {
    const named = [...deploy().matchAll(/install\.sh[^\n`]*/g)].flatMap(([line]) =>
      [...line.matchAll(/(?<=\s)--[a-z-]+/g)].map(([flag]) => flag),
    );
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter((flag) => !HELP.includes(flag))).toEqual([]);
  });

  it('names every exit code of the installer', () => {
    const text = deploy();
    const missing = Array.from({ length: 16 }, (_, code) => code).filter(
      (code) => !text.includes(`| ${code} |`),
    );
    expect(missing).toEqual([]);
  });
});
