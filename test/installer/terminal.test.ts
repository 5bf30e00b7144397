import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'bun:test';
import type { Requirement } from '../support/requirements.ts';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile } from './machine.ts';
import { type FakeReleases, fakeReleases } from './release.ts';
import { describeInstaller, SH } from './shells.ts';

const terminal: Requirement = {
  name: 'script',
  present: Bun.which('script') !== null && Bun.which('curl') !== null,
  sentence: 'no script here: install the Debian package bsdutils to test the questions',
};

describeInstaller(terminal, 'the installer on a terminal', () => {
  let releases: FakeReleases;
  let machine: FakeMachine;
  beforeAll(() => {
    releases = fakeReleases(['1.0.0']);
  });
  afterAll(() => releases.close());
  beforeEach(() => {
    machine = fakeMachine(SH);
    giveDebianCaddyfile(machine);
  });
  afterEach(() => machine.close());

  const NOTHING = {
    FJMCP_INSTALL_YES: '',
    FJMCP_PUBLIC_URL: '',
    FJMCP_FORGEJO_URL: '',
    FJMCP_FORGEJO_CLIENT_ID: '',
    FJMCP_FORGEJO_CLIENT_SECRET: '',
  };
  const offline = () => ['--offline', releases.folder('1.0.0')];

  it('asks what it needs to know, suggests the Forgejo of this machine, and shows no secret', async () => {
    machine.write('etc/forgejo/app.ini', 'ROOT_URL = https://git.example.org/\n');
    const { code, out } = await machine.runOnTerminal(offline(), NOTHING, [
      ['example: https://mcp.example.org|mcp.example.org: ', 'https://mcp.example.org'],
      ['browsers see it [https://git.example.org]: ', ''],
      ['Forgejo token', ''],
      ['Client ID', 'the-client'],
      ['Client secret', 'gto_typed'],
      ['Go on?', 'yes'],
    ]);
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(out).toContain('redirect URI  https://mcp.example.org/oauth/callback');
    expect(out).not.toContain('gto_typed');
    expect(machine.read('etc/fjmcp-broker/config.toml')).toContain(
      'forgejo_url = "https://git.example.org"',
    );
    expect(machine.read('etc/fjmcp-broker/credentials/forgejo_client_secret')).toBe('gto_typed');
  });

  it('12: takes anything but yes for no, and has changed nothing', async () => {
    const before = machine.tree();
    const { code, out } = await machine.runOnTerminal(offline(), { FJMCP_INSTALL_YES: '' }, [
      ['Go on?', ''],
    ]);
    expect(code).toBe(12);
    expect(out).toContain('nothing has been changed');
    expect(machine.tree()).toEqual(before);
  });
});
