import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';
import { findSandbox, type SandboxSystem } from '../../app/child/find-sandbox.ts';
import type { SandboxMode } from '../../app/child/sandbox.ts';
import { fixtureSupervisor } from '../support/fixture-supervisor.ts';

const USERNS = 'bwrap: setting up uid map: Permission denied';
const PROGRAM = '/opt/forgejo-mcp';

/** A system whose bwrap runs unless one of its words is among the `refused`. */
function system(refused: readonly string[], which: string | null = '/usr/bin/bwrap') {
  const runs: (readonly string[])[] = [];
  const made: SandboxSystem = {
    which: () => which,
    fault(argv) {
      runs.push(argv);
      return argv.some((word) => refused.includes(word)) ? USERNS : undefined;
    },
  };
  return { made, runs };
}

function find(mode: SandboxMode, made: SandboxSystem, paths: readonly string[] = []) {
  return findSandbox({ mode, program: PROGRAM, paths }, made);
}

describe('CHILD_SANDBOX', () => {
  it('bwrap: is an error that says what is missing when there is no bwrap', () => {
    expect(find('bwrap', system([], null).made)).toEqual({
      ok: false,
      error:
        'CHILD_SANDBOX is bwrap, and no sandbox can be made: there is no bwrap (package bubblewrap).',
    });
  });

  it('bwrap: is an error with the words of the system when no namespace can be made', () => {
    const found = find('bwrap', system(['--unshare-all']).made);
    expect(found).toMatchObject({ ok: false, error: expect.stringContaining(USERNS) });
  });

  it('auto: goes on without one, and keeps the reason', () => {
    const found = find('auto', system(['--unshare-all']).made);
    expect(found).toEqual({ ok: true, value: { kind: 'none', reason: USERNS, chosen: false } });
  });

  it('none: asks the system nothing', () => {
    const { made, runs } = system([]);
    expect(find('none', made)).toMatchObject({ value: { kind: 'none', chosen: true } });
    expect(runs).toEqual([]);
  });

  it('tries bwrap in the very sandbox that a child gets', () => {
    const { made, runs } = system([]);
    const found = find('auto', made, ['/srv/script']);
    if (!found.ok || found.value.kind !== 'bwrap') throw new Error('there is a sandbox');
    const { prefix } = found.value;
    expect(runs).toHaveLength(1);
    expect(runs[0]?.slice(-3)).toEqual(['--', '/usr/bin/bwrap', '--version']);
    expect(prefix.filter((word) => !runs[0]?.includes(word))).toEqual([]);
    expect(prefix.at(-1)).toBe('--');
  });

  for (const [word, promise] of [
    ['--disable-userns', 'disable-userns'],
    ['--size', 'size'],
  ] as const) {
    it(`does without ${word} where bwrap cannot, and says so`, () => {
      const found = find('bwrap', system([word]).made);
      expect(found).toMatchObject({ value: { kind: 'bwrap', without: [promise] } });
      if (found.ok && found.value.kind === 'bwrap') expect(found.value.prefix).not.toContain(word);
    });
  }
});

describe('the broker without a sandbox', () => {
  it('says so as an error, and in the metric', async () => {
    const metrics = createMetrics();
    const sandbox = { kind: 'none', reason: USERNS, chosen: false } as const;
    const { memory } = fixtureSupervisor([], { sandbox, metrics });
    expect(memory.of('child.sandbox_off')).toMatchObject([{ level: 'error', reason: USERNS }]);
    expect(await metrics.registry.metrics()).toContain('fjmcp_child_sandbox 0');
  });

  it('says it as a warning where the administrator wants none', () => {
    const sandbox = { kind: 'none', reason: 'CHILD_SANDBOX is none', chosen: true } as const;
    const { memory } = fixtureSupervisor([], { sandbox });
    expect(memory.of('child.sandbox_off')).toMatchObject([{ level: 'warn' }]);
  });

  it('tells of one that it has, and of the promises that its bwrap cannot keep', async () => {
    const metrics = createMetrics();
    const prefix = ['/usr/bin/bwrap', '--'];
    const sandbox = { kind: 'bwrap', prefix, without: ['size'] } as const;
    const { memory } = fixtureSupervisor([], { sandbox, metrics });
    expect(memory.of('child.sandbox')).toMatchObject([
      { program: '/usr/bin/bwrap', without: ['size'] },
    ]);
    expect(memory.of('child.sandbox_off')).toEqual([]);
    expect(await metrics.registry.metrics()).toContain('fjmcp_child_sandbox 1');
  });
});
