import { describe, expect, it } from 'bun:test';
import { readFlags } from '../../app/command/flags.ts';
import { USAGE, type UsedCommand, usageLine, usageText } from '../../app/command/usage.ts';
import { SETTINGS } from '../../app/config/settings.ts';
import { flagOf } from '../../app/config/sources.ts';

const COMMANDS = Object.keys(USAGE) as UsedCommand[];

describe.each(COMMANDS)('the help of %s', (command) => {
  const { flags, settings } = USAGE[command];

  it('tells every flag that it takes, and its exit codes, in lines that a terminal has', () => {
    const text = usageText(command);
    for (const { name, help } of flags) {
      expect(text).toContain(`--${name}`);
      expect(text).toContain(help);
    }
    expect(text).toContain(`Usage: ${usageLine(command)}`);
    expect(text).toMatch(/^ {2}0 {2}.+\n {2}1 {2}.+\n {2}2 {2}wrong flags or settings$/m);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  });

  it('names settings that there are', () => {
    const known = Object.values(SETTINGS).map(({ name }) => flagOf(name).slice(2));
    const unknown = settings.filter((name: string) => !known.includes(name) && !name.includes(' '));
    expect(unknown).toEqual([]);
  });

  it('is kept: each flag is taken, an unknown one and a name too many are not', () => {
    for (const flag of flags) {
      const argv = 'value' in flag ? [`--${flag.name}`, 'x'] : [`--${flag.name}`];
      const read = readFlags({ argv }, command);
      if (!read.ok) throw new Error(read.error);
      const seen: object = { ...read.value.texts };
      expect(seen).toHaveProperty([flag.name]);
      expect(read.value.switches.size).toBe('value' in flag ? 0 : 1);
    }
    expect(readFlags({ argv: ['--no-such-flag'] }, command)).toEqual({
      ok: false,
      error: "Unknown option '--no-such-flag'.",
    });
    expect(readFlags({ argv: ['a', 'b'] }, command).ok).toBe(false);
    expect(readFlags({ argv: ['--json=yes'] }, command).ok).toBe(false);
  });
});
