import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'bun:test';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile, INSTALLER } from './machine.ts';
import {
  type FakeReleases,
  FORGEJO_MCP_VERSION,
  fakeReleases,
  serveFolder,
  tar,
} from './release.ts';
import { describeUnderShells } from './shells.ts';

describeUnderShells('the installer', (shell) => {
  let releases: FakeReleases;
  let machine: FakeMachine;
  let offline: string;
  beforeAll(() => {
    releases = fakeReleases(['1.0.0']);
    offline = releases.folder('1.0.0');
  });
  afterAll(() => releases.close());
  beforeEach(() => {
    machine = fakeMachine(shell);
    giveDebianCaddyfile(machine);
  });
  afterEach(() => machine.close());

  const modeOf = (path: string) => (statSync(machine.path(path)).mode & 0o777).toString(8);

  it('installs the program, forgejo-mcp, settings, units and a site, and starts them', async () => {
    const { code, out, err } = await machine.run(['--offline', offline]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('https://mcp.example.org/mcp');
    expect(out).toContain('doctor: all is well');
    const tree = machine.tree();
    expect(tree['opt/fjmcp-broker/current']).toBe('-> 1.0.0');
    expect(tree['usr/local/bin/fjmcp-broker']).toBe('-> /opt/fjmcp-broker/current/fjmcp-broker');
    expect(machine.calls()).toContain('systemctl start fjmcp-broker.service');
    expect(machine.calls()).toContain('systemctl enable fjmcp-broker.service');
    expect(machine.calls()).toContain('systemctl restart caddy.service');
    expect(machine.read('etc/caddy/fjmcp-broker.caddy')).toContain('https://mcp.example.org {');
    expect(machine.read('etc/caddy/fjmcp-broker.caddy')).not.toMatch(/@[A-Z]+@/);
    expect(machine.read('etc/fjmcp-broker/config.toml')).toContain(
      'public_url = "https://mcp.example.org"',
    );
  });

  it('keeps secrets from everybody but root, and out of what it prints', async () => {
    const { out, err } = await machine.run(['--offline', offline]);
    expect(modeOf('etc/fjmcp-broker/credentials')).toBe('700');
    expect(modeOf('etc/fjmcp-broker/credentials/store-key')).toBe('600');
    expect(statSync(machine.path('etc/fjmcp-broker/credentials/store-key')).size).toBe(32);
    expect(modeOf('etc/fjmcp-broker/credentials/forgejo_client_secret')).toBe('600');
    expect(machine.read('etc/fjmcp-broker/credentials/forgejo_client_secret')).toBe(
      'gto_thesecret',
    );
    expect(machine.read('etc/fjmcp-broker/config.toml')).not.toContain('gto_thesecret');
    expect(out + err).not.toContain('gto_thesecret');
  });

  it('lets forgejo-mcp be run and not read', async () => {
    await machine.run(['--offline', offline]);
    expect(modeOf('opt/fjmcp-broker/forgejo-mcp/current/forgejo-mcp')).toBe('711');
  });

  it('changes nothing and starts nothing the second time', async () => {
    await machine.run(['--offline', offline]);
    const before = machine.tree();
    machine.forgetCalls();
    const { code, out } = await machine.run(['--offline', offline]);
    expect(code).toBe(0);
    expect(out).toContain('nothing has been changed');
    expect(machine.tree()).toEqual(before);
    expect(machine.calls()).toEqual([]);
  });

  it('needs no answer and no source the second time', async () => {
    await machine.run(['--offline', offline]);
    const before = machine.tree();
    const { code } = await machine.run([], {
      FJMCP_PUBLIC_URL: '',
      FJMCP_FORGEJO_URL: '',
      FJMCP_FORGEJO_CLIENT_ID: '',
      FJMCP_FORGEJO_CLIENT_SECRET: '',
    });
    expect(code).toBe(0);
    expect(machine.tree()).toEqual(before);
  });

  it('keeps a configuration that is there, and puts what other answers mean beside it', async () => {
    await machine.run(['--offline', offline]);
    const edited = `${machine.read('etc/fjmcp-broker/config.toml')}max_sessions = 7\n`;
    writeFileSync(machine.path('etc/fjmcp-broker/config.toml'), edited);
    const { code, err } = await machine.run(['--offline', offline], {
      FJMCP_FORGEJO_URL: 'https://other.example.org',
    });
    expect(code).toBe(0);
    expect(machine.read('etc/fjmcp-broker/config.toml')).toBe(edited);
    expect(machine.read('etc/fjmcp-broker/config.toml.new')).toContain('https://other.example.org');
    expect(err).toContain('+forgejo_url = "https://other.example.org"');
  });

  it('shows the plan and changes nothing with --dry-run', async () => {
    const before = machine.tree();
    const { code, out } = await machine.run(['--dry-run', '--offline', offline]);
    expect(code).toBe(0);
    expect(out).toContain('fjmcp-broker 1.0.0 to /opt/fjmcp-broker/1.0.0');
    expect(machine.tree()).toEqual(before);
    expect(machine.calls()).toEqual([]);
  });

  it('runs out of a pipe, and fetches and verifies both programs', async () => {
    const server = serveFolder(offline);
    const script = await Bun.file(INSTALLER).text();
    const { code, err } = await machine.run(
      [],
      {
        FJMCP_INSTALL_FORGEJO_MCP: '',
        FJMCP_INSTALL_FORGEJO_MCP_VERSION: FORGEJO_MCP_VERSION,
        FJMCP_INSTALL_BASE_URL: server.url,
        FJMCP_INSTALL_FORGEJO_MCP_BASE_URL: server.url,
      },
      script,
    );
    await server.stop();
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(machine.tree()['opt/fjmcp-broker/forgejo-mcp/current']).toBe(
      `-> ${FORGEJO_MCP_VERSION}`,
    );
  });

  it('takes a folder for a machine without a network as one tar file', async () => {
    const file = join(machine.state, 'bundle.tar.gz');
    tar(join(offline, '..'), '1.0.0', file);
    const { code, err } = await machine.run(['--offline', file]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  it('reads its answers from a file', async () => {
    const file = join(machine.state, 'answers');
    writeFileSync(
      file,
      '# answers\nFJMCP_PUBLIC_URL=https://mcp.example.org\nFJMCP_INSTALL_YES=1\n',
    );
    const { code } = await machine.run(['--offline', offline, '--answers', file], {
      FJMCP_PUBLIC_URL: '',
      FJMCP_INSTALL_YES: '',
    });
    expect(code).toBe(0);
  });

  it('installs and starts nothing with --no-start, and no site with --no-caddy', async () => {
    const { code } = await machine.run(['--offline', offline, '--no-start', '--no-caddy']);
    expect(code).toBe(0);
    expect(machine.calls().filter((call) => /start|enable|caddy/.test(call))).toEqual([]);
    expect(machine.tree()['etc/caddy/fjmcp-broker.caddy']).toBeUndefined();
  });

  it('adds one line to the Caddyfile of a Caddy that is in use', async () => {
    machine.write('etc/caddy/Caddyfile', 'www.example.org {\n\tfile_server\n}\n');
    machine.fact('caddy.service', 'active');
    machine.fact('port-80', 'LISTEN 0 4096 *:80 *:* users:(("caddy",pid=1,fd=3))\n');
    const { code, out } = await machine.run(['--offline', offline]);
    expect(code).toBe(0);
    expect(out).toContain('Caddy is in use');
    expect(machine.read('etc/caddy/Caddyfile')).toBe(
      'www.example.org {\n\tfile_server\n}\n\nimport /etc/caddy/fjmcp-broker.caddy\n',
    );
    expect(machine.tree()['etc/caddy/.fjmcp-broker-try']).toBeUndefined();
  });
});
