import { describe, expect, it } from 'bun:test';
import { settingsHelp } from '../../app/config/help.ts';
import { SETTINGS } from '../../app/config/settings.ts';
import { flagOf, keyOf, variableOf } from '../../app/config/sources.ts';

describe('--help', () => {
  it('lists every setting with flag, variable, key, default and meaning', () => {
    const help = settingsHelp();
    for (const { name, help: meaning, fallback, placeholder } of Object.values(SETTINGS)) {
      expect(help).toContain(
        `${flagOf(name)} ${placeholder} · ${variableOf(name)} · ${keyOf(name)}\n      ${meaning}\n`,
      );
      if (fallback.kind === 'text') expect(help).toContain(`Default: ${fallback.text || 'none'}`);
    }
    expect(help).toContain('FJMCP_FORGEJO_CLIENT_SECRET\n');
    expect(help).toContain('[[static_clients]]');
    expect(help).toContain('--config FILE · FJMCP_CONFIG');
  });

  it('says each default as it can be typed: every one of them parses', () => {
    for (const { name, fallback, parse } of Object.values(SETTINGS)) {
      if (fallback.kind === 'text') expect([name, parse(fallback.text).ok]).toEqual([name, true]);
    }
  });
});
