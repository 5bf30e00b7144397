import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'bun:test';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile } from './machine.ts';
import { type FakeReleases, fakeReleases } from './release.ts';
import { describeUnderShells } from './shells.ts';

describeUnderShells('an upgrade by the installer', (shell) => {
  let releases: FakeReleases;
  let machine: FakeMachine;
  beforeAll(() => {
    releases = fakeReleases(['1.0.0', '2.0.0', '3.0.0']);
  });
  afterAll(() => releases.close());
  beforeEach(async () => {
    machine = fakeMachine(shell);
    giveDebianCaddyfile(machine);
    await machine.run(['--offline', releases.folder('1.0.0')]);
    machine.write('var/lib/fjmcp-broker/store.db', 'the live store');
    machine.forgetCalls();
  });
  afterEach(() => machine.close());

  const upgrade = (version = '2.0.0', ...more: string[]) =>
    machine.run(['--upgrade', '--offline', releases.folder(version), ...more]);
  const link = (name: string) => machine.tree()[`opt/fjmcp-broker/${name}`];

  it('copies the store, hands over and remembers the version before', async () => {
    const { code, out } = await upgrade();
    expect(code).toBe(0);
    expect(out).toContain('the running broker hands over');
    expect(link('current')).toBe('-> 2.0.0');
    expect(link('previous')).toBe('-> 1.0.0');
    expect(machine.factOf('serving')).toBe('2.0.0');
    const calls = machine.calls();
    const backup = calls.indexOf('systemctl start fjmcp-broker-backup.service');
    const reload = calls.indexOf('systemctl reload fjmcp-broker.service');
    expect(backup).toBeGreaterThanOrEqual(0);
    expect(reload).toBeGreaterThan(backup);
    expect(calls).not.toContain('systemctl restart fjmcp-broker.service');
    expect(machine.read('var/lib/fjmcp-broker/store.db')).toBe('the live store');
  });

  it('changes nothing when that version is there already', async () => {
    const before = machine.tree();
    const { code, out } = await upgrade('1.0.0');
    expect(code).toBe(0);
    expect(out).toContain('nothing has been changed');
    expect(machine.tree()).toEqual(before);
    expect(machine.calls()).toEqual([]);
  });

  it('is not what a plain second run does', async () => {
    const before = machine.tree();
    const { code, err } = await machine.run([
      '--offline',
      releases.folder('2.0.0'),
      '--version',
      '2.0.0',
    ]);
    expect(code).toBe(2);
    expect(err).toContain('--upgrade');
    expect(machine.tree()).toEqual(before);
  });

  it('keeps two versions and no more', async () => {
    await upgrade();
    await upgrade('3.0.0');
    expect(link('current')).toBe('-> 3.0.0');
    expect(link('previous')).toBe('-> 2.0.0');
    expect(link('1.0.0')).toBeUndefined();
  });

  for (const [fault, what] of [
    ['deaf-2.0.0', 'the broker does not hand over to'],
    ['broken-2.0.0', 'does not start'],
    ['crashing-2.0.0', 'starts again and again'],
    ['unready-2.0.0', 'answers and is not ready, as the one before was'],
  ] as const) {
    it(`switches back by itself from a version that ${what}`, async () => {
      const before = machine.tree();
      machine.fact(fault);
      const { code, err } = await upgrade();
      expect(code).toBe(10);
      expect(err).toContain('2.0.0 is not healthy');
      expect(err).toContain('1.0.0 serves, as before');
      expect(machine.factOf('serving')).toBe('1.0.0');
      expect(link('current')).toBe('-> 1.0.0');
      expect(link('previous')).toBeUndefined();
      expect(machine.read('var/lib/fjmcp-broker/store.db')).toBe('the live store');
      const after = Object.entries(machine.tree()).filter(
        ([path]) => !path.startsWith('opt/fjmcp-broker/2.0.0'),
      );
      expect(Object.fromEntries(after)).toEqual(before);
    });
  }

  it('does not begin when the store cannot be copied', async () => {
    machine.fact('no-backup');
    const { code, err } = await upgrade();
    expect(code).toBe(1);
    expect(err).toContain('could not be copied');
    expect(link('current')).toBe('-> 1.0.0');
    expect(machine.factOf('serving')).toBe('1.0.0');
  });

  it('goes back and forth with --rollback, and keeps the live store', async () => {
    await upgrade();
    machine.write('var/lib/fjmcp-broker/store.db', 'written by the new version');
    const back = await machine.run(['--rollback']);
    expect(back.code).toBe(0);
    expect(machine.factOf('serving')).toBe('1.0.0');
    expect(link('current')).toBe('-> 1.0.0');
    expect(link('previous')).toBe('-> 2.0.0');
    expect(machine.read('var/lib/fjmcp-broker/store.db')).toBe('written by the new version');
    const forth = await machine.run(['--rollback']);
    expect(forth.code).toBe(0);
    expect(machine.factOf('serving')).toBe('2.0.0');
  });

  it('shows the plan and changes nothing with --dry-run', async () => {
    const before = machine.tree();
    const { code, out } = await upgrade('2.0.0', '--dry-run');
    expect(code).toBe(0);
    expect(out).toContain('fjmcp-broker 1.0.0 to 2.0.0');
    expect(machine.tree()).toEqual(before);
    expect(machine.calls()).toEqual([]);
  });

  it('restarts instead when it is told to', async () => {
    const { code } = await upgrade('2.0.0', '--restart');
    expect(code).toBe(0);
    expect(machine.calls()).toContain('systemctl restart fjmcp-broker.service');
    expect(machine.calls()).not.toContain('systemctl reload fjmcp-broker.service');
  });

  it('leaves a site that was edited, and puts the new one beside it', async () => {
    const edited = `${machine.read('etc/caddy/fjmcp-broker.caddy')}# mine\n`;
    machine.write('etc/caddy/fjmcp-broker.caddy', edited);
    const { code, err } = await upgrade();
    expect(code).toBe(0);
    expect(machine.read('etc/caddy/fjmcp-broker.caddy')).toBe(edited);
    expect(err).toContain('has been edited and is kept');
  });
});
