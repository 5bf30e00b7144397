import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'bun:test';
import { appendFileSync } from 'node:fs';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile } from './machine.ts';
import { type FakeReleases, fakeReleases } from './release.ts';
import { describeUnderShells } from './shells.ts';

describeUnderShells('taking away what the installer made', (shell) => {
  let releases: FakeReleases;
  let machine: FakeMachine;
  beforeAll(() => {
    releases = fakeReleases(['1.0.0']);
  });
  afterAll(() => releases.close());
  beforeEach(() => {
    machine = fakeMachine(shell);
  });
  afterEach(() => machine.close());

  const install = async () => {
    const { code } = await machine.run(['--offline', releases.folder('1.0.0')]);
    expect(code).toBe(0);
    machine.write('var/lib/fjmcp-broker/store.db', 'the live store');
  };
  /** Without folders, and without the socket's, which were made by who plays the broker. */
  const files = () =>
    Object.fromEntries(
      Object.entries(machine.tree()).filter(
        ([path, told]) => !told.endsWith('directory') && !path.startsWith('run/'),
      ),
    );

  it('leaves settings, keys and data, and nothing else', async () => {
    giveDebianCaddyfile(machine);
    const before = files();
    await install();
    machine.forgetCalls();
    const { code, out } = await machine.run(['--uninstall']);
    expect(code).toBe(0);
    expect(out).toContain('are there still');
    const left = Object.keys(files()).filter((path) => !(path in before));
    expect(left.every((path) => /^(etc|var\/lib)\/fjmcp-broker\//.test(path))).toBe(true);
    expect(left).toContain('var/lib/fjmcp-broker/store.db');
    expect(left).toContain('etc/fjmcp-broker/credentials/store-key');
    expect(machine.calls()).toContain('systemctl stop fjmcp-broker.service');
    expect(machine.calls()).toContain('systemctl disable fjmcp-broker.service');
  });

  it('leaves nothing at all with --purge', async () => {
    giveDebianCaddyfile(machine);
    const before = files();
    await install();
    const { code } = await machine.run(['--uninstall', '--purge']);
    expect(code).toBe(0);
    expect(files()).toEqual(before);
  });

  it('purges what an uninstallation has left', async () => {
    giveDebianCaddyfile(machine);
    const before = files();
    await install();
    await machine.run(['--uninstall']);
    const { code } = await machine.run(['--uninstall', '--purge']);
    expect(code).toBe(0);
    expect(files()).toEqual(before);
  });

  it('gives a foreign Caddyfile back byte for byte', async () => {
    machine.write('etc/caddy/Caddyfile', 'www.example.org {\n\tfile_server\n}\n');
    await install();
    await machine.run(['--uninstall']);
    expect(machine.read('etc/caddy/Caddyfile')).toBe('www.example.org {\n\tfile_server\n}\n');
  });

  it('takes only its own line out of a Caddyfile that was changed since', async () => {
    machine.write('etc/caddy/Caddyfile', 'www.example.org {\n\tfile_server\n}\n');
    await install();
    appendFileSync(machine.path('etc/caddy/Caddyfile'), 'git.example.org {\n}\n');
    await machine.run(['--uninstall']);
    const left = machine.read('etc/caddy/Caddyfile');
    expect(left).toContain('git.example.org');
    expect(left).not.toContain('fjmcp');
  });

  it('starts anew over the data that was left, with the same key', async () => {
    giveDebianCaddyfile(machine);
    await install();
    const key = machine.tree()['etc/fjmcp-broker/credentials/store-key'];
    await machine.run(['--uninstall']);
    const { code } = await machine.run(['--offline', releases.folder('1.0.0'), '--no-start'], {
      FJMCP_FORGEJO_CLIENT_SECRET: '',
    });
    expect(code).toBe(0);
    expect(machine.tree()['etc/fjmcp-broker/credentials/store-key']).toBe(key as string);
  });

  it('changes nothing with --dry-run, and asks before it does', async () => {
    giveDebianCaddyfile(machine);
    await install();
    const before = machine.tree();
    expect((await machine.run(['--uninstall', '--purge', '--dry-run'])).code).toBe(0);
    expect(machine.tree()).toEqual(before);
    const asked = await machine.run(['--uninstall'], { FJMCP_INSTALL_YES: '' });
    expect(asked.code).toBe(4);
    expect(machine.tree()).toEqual(before);
  });
});
