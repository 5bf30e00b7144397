import { describe, expect, it } from 'bun:test';
import { faults, loaded } from './config-input.ts';

const TOKEN = 'canary-metrics-token';
const ON_A_PORT = { FJMCP_METRICS_LISTEN: '127.0.0.1:9090' };

describe('METRICS_LISTEN', () => {
  it('is nowhere by default', () => {
    expect(loaded()).toMatchObject({ metricsListen: undefined, metricsToken: undefined });
  });

  it('S11: needs a token on a port, which everybody of the machine can reach', () => {
    const told = faults({ env: ON_A_PORT });
    expect(told).toEqual([
      'FJMCP_METRICS_TOKEN or --metrics-token-file (FJMCP_METRICS_TOKEN_FILE, metrics_token_file): ' +
        'is missing, and METRICS_LISTEN is no unix socket',
    ]);
  });

  it('needs none on a unix socket, whose mode says who may read', () => {
    const { metricsListen, metricsToken } = loaded({
      env: { FJMCP_METRICS_LISTEN: 'unix:/run/x/metrics.sock' },
    });
    expect(metricsListen).toEqual({ kind: 'unix', path: '/run/x/metrics.sock' });
    expect(metricsToken).toBeUndefined();
  });

  it('warns of an address that other machines reach', () => {
    const { warnings } = loaded({
      env: { FJMCP_METRICS_LISTEN: '0.0.0.0:9090', FJMCP_METRICS_TOKEN: TOKEN },
    });
    expect(warnings.join()).toContain('METRICS_LISTEN');
  });
});

describe('METRICS_TOKEN', () => {
  it('comes from its variable, its file or its credential, and is never shown', () => {
    const files = { '/etc/token': `${TOKEN}\n`, '/creds/metrics_token': TOKEN };
    for (const env of [
      { FJMCP_METRICS_TOKEN: TOKEN },
      { FJMCP_METRICS_TOKEN_FILE: '/etc/token' },
      { CREDENTIALS_DIRECTORY: '/creds' },
    ]) {
      const config = loaded({ env: { ...ON_A_PORT, ...env }, files });
      expect(config.metricsToken?.reveal()).toBe(TOKEN);
      expect(JSON.stringify(config)).not.toContain('canary');
    }
  });

  it('has 16 characters at least', () => {
    const withToken = (token: string) => ({ env: { ...ON_A_PORT, FJMCP_METRICS_TOKEN: token } });
    expect(faults(withToken('x'.repeat(15))).join()).toContain('less than 16 characters');
    expect(loaded(withToken('x'.repeat(16))).metricsToken?.reveal()).toHaveLength(16);
  });

  it('S10: has neither flag nor key', () => {
    expect(faults({ argv: ['--metrics-token', TOKEN] }).join()).toContain('a secret has no flag');
    const files = { '/c.toml': `metrics_token = "${TOKEN}"` };
    const told = faults({ argv: ['--config', '/c.toml'], files }).join();
    expect(told).toContain('a secret does not stand in this file; use metrics_token_file');
    expect(told).not.toContain('canary');
  });

  it('is refused when it is given twice, empty, or not there', () => {
    const twice = { FJMCP_METRICS_TOKEN: TOKEN, FJMCP_METRICS_TOKEN_FILE: '/etc/token' };
    expect(faults({ env: twice }).join()).toContain('given twice');
    const files = { '/etc/token': '\n' };
    const fromFile = { FJMCP_METRICS_TOKEN_FILE: '/etc/token' };
    expect(faults({ env: fromFile, files }).join()).toContain('is empty');
    expect(faults({ env: fromFile }).join()).toContain('cannot read /etc/token');
  });
});
