import { describe, expect, it } from 'bun:test';
import { ENOUGH, faults, loaded } from './config-input.ts';

const withPaths = (paths: string, more: Readonly<Record<string, string>> = {}) => ({
  env: { ...ENOUGH, FJMCP_CHILD_SANDBOX_PATHS: paths, ...more },
});

describe('CHILD_SANDBOX_PATHS', () => {
  it('takes absolute paths', () => {
    const config = loaded(withPaths('/srv/child/,/usr/share/child-data'));
    expect(config.childSandboxPaths).toEqual(['/srv/child', '/usr/share/child-data']);
  });

  for (const path of ['/', '//', 'relative', '/srv/../etc', '/srv/./x', '/srv//x']) {
    it(`refuses ${path}`, () => {
      expect(faults(withPaths(path))).toEqual([
        expect.stringContaining('FJMCP_CHILD_SANDBOX_PATHS'),
      ]);
    });
  }

  for (const [path, more] of [
    ['/var/lib/fjmcp/store.sqlite', {}],
    ['/var/lib/fjmcp', {}],
    ['/var', {}],
    ['/etc/fjmcp', {}],
    ['/run/credentials', { CREDENTIALS_DIRECTORY: '/run/credentials/fjmcp-broker.service' }],
    ['/run/fjmcp', { FJMCP_CONTROL_SOCKET: '/run/fjmcp/private/control.sock' }],
  ] as const) {
    it(`refuses ${path}, which would show every child what is the broker's`, () => {
      expect(faults(withPaths(path, more)).join()).toContain('would show every child');
    });
  }

  it('takes what only begins with the same letters', () => {
    const config = loaded(withPaths('/var/lib/fjmcp-child'));
    expect(config.childSandboxPaths).toEqual(['/var/lib/fjmcp-child']);
  });
});

describe('CHILD_SANDBOX', () => {
  it('is auto, bwrap or none', () => {
    expect(loaded().childSandbox).toBe('auto');
    expect(loaded({ env: { ...ENOUGH, FJMCP_CHILD_SANDBOX: 'none' } }).childSandbox).toBe('none');
    expect(faults({ env: { ...ENOUGH, FJMCP_CHILD_SANDBOX: 'off' } }).join()).toContain(
      'must be auto or bwrap or none',
    );
  });
});
