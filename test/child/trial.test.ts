import { describe, expect, it } from 'bun:test';
import { systemClock } from '../../app/base/clock.ts';
import { tryChild } from '../../app/child/trial.ts';
import { fixtureCommand, fixtureSupervisor } from '../support/fixture-supervisor.ts';

const LONG_MS = 20_000;

const attempt = (command: readonly string[], timeoutMs = LONG_MS) => {
  const { supervisor, memory } = fixtureSupervisor([], { command });
  const trial = tryChild(supervisor, systemClock, timeoutMs);
  return { trial, supervisor, memory };
};

describe('the trial of a child', () => {
  it('finds that the program answers, and leaves nothing behind', async () => {
    const { trial, supervisor } = attempt(fixtureCommand());
    expect(await trial).toEqual({ kind: 'answered' });
    expect(supervisor.running).toBe(0);
  });

  it('tells a program that is not there', async () => {
    const { trial } = attempt(['/nowhere/forgejo-mcp']);
    expect(await trial).toEqual({
      kind: 'not_started',
      detail: '/nowhere/forgejo-mcp cannot be run',
    });
  });

  it.each([126, 127])('takes exit code %d for a program that cannot be run', async (code) => {
    const { trial } = attempt(['/bin/sh', '-c', `exit ${code}`]);
    expect(await trial).toMatchObject({ kind: 'not_started' });
  });

  it('tells one that leaves without a word', async () => {
    const { trial } = attempt(['/bin/sh', '-c', 'exit 1']);
    const detail = 'it ended with exit code 1 and answered nothing';
    expect(await trial).toEqual({ kind: 'silent', detail });
  });

  it('ends one that is silent for too long', async () => {
    const { trial, supervisor } = attempt(['/bin/sh', '-c', 'sleep 60'], 50);
    expect(await trial).toEqual({ kind: 'silent', detail: 'it did not answer within 50 ms' });
    expect(supervisor.running).toBe(0);
  });
});
