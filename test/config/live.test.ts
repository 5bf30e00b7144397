import { describe, expect, it } from 'bun:test';
import { Secret } from '../../app/base/secret.ts';
import { createLiveConfig } from '../../app/config/live.ts';
import { SETTINGS } from '../../app/config/settings.ts';
import { loaded } from './config-input.ts';

const started = () => {
  const { warnings: _, ...config } = loaded();
  return config;
};

describe('the settings of a broker that runs', () => {
  it('are as they were after a reload that changes nothing', () => {
    const live = createLiveConfig(started());
    expect(live.take(started())).toEqual({ changed: [], needRestart: [] });
    expect({ ...live.config }).toEqual(started());
  });

  it('takes a live one, and whoever asks gets it', () => {
    const live = createLiveConfig(started());
    const taken = live.take({ ...started(), logLevel: 'debug', allowedOrigins: ['https://a.b'] });
    expect(taken).toEqual({
      changed: [
        { name: 'ALLOWED_ORIGINS', from: '', to: 'https://a.b' },
        { name: 'LOG_LEVEL', from: 'info', to: 'debug' },
      ],
      needRestart: [],
    });
    expect(live.config.logLevel).toBe('debug');
    expect(live.config.allowedOrigins).toEqual(['https://a.b']);
  });

  it('keeps one that needs a restart, and tells it at each reload until then', () => {
    const live = createLiveConfig(started());
    const next = { ...started(), maxSessions: 7, forgejoClientSecret: new Secret('another') };
    for (const _ of [1, 2]) {
      const names = ['MAX_SESSIONS', 'FORGEJO_CLIENT_SECRET'];
      expect(live.take(next)).toEqual({ changed: [], needRestart: names });
    }
    expect(live.take({ ...started(), toolsToml: '[tools]' }).needRestart).toEqual(['TOOLS_FILE']);
    expect(live.config.maxSessions).toBe(started().maxSessions);
  });

  it('shows no secret and nothing long', () => {
    const live = createLiveConfig(started());
    const client = { id: 'x', name: 'X', redirectUris: [], secretSha256: 'a'.repeat(43) };
    const long = Array.from({ length: 50 }, (_, index) => `https://origin-${index}.example`);
    const next = { ...started(), staticClients: [client], allowedOrigins: long };
    expect(live.take(next).changed).toEqual([
      { name: 'ALLOWED_ORIGINS', from: '', to: undefined },
      { name: 'STATIC_CLIENTS', from: undefined, to: undefined },
    ]);
  });

  it('are live where design and help say so', () => {
    const names = Object.values(SETTINGS)
      .filter(({ live }) => live)
      .map(({ name }) => name);
    expect(names.sort()).toEqual([
      ...['ALLOWED_ORIGINS', 'DEFAULT_SCOPE', 'LOG_LEVEL', 'MAX_SCOPE', 'RATE_LIMITS'],
      ...['REDIRECT_ALLOWLIST', 'TRUSTED_PROXIES'],
    ]);
  });

  it('are told by their names, every one of them', () => {
    const first = started();
    const everything = Object.fromEntries(Object.keys(first).map((key) => [key, Symbol(key)]));
    const { changed, needRestart } = createLiveConfig(first).take(everything as never);
    const told = [...changed.map(({ name }) => name), ...needRestart];
    expect(told.filter((name) => !/^[A-Z][A-Z_]+$/.test(name))).toEqual([]);
    // The store keys are the business of rotate-key.
    expect(told).toHaveLength(Object.keys(first).length - 2);
  });
});
