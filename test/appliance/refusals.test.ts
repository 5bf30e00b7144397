import { afterAll, beforeAll, beforeEach, expect, it } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from './harness/command.ts';
import { describeAppliance } from './harness/describe.ts';
import type { Machine } from './harness/machine.ts';
import { archiveName } from './harness/releases.ts';
import { answersFor, installByPipe, publish } from './harness/site.ts';
import { difference, treeOf } from './harness/tree.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

/** As the installer's --help documents them. */
const EXIT = { answer: 4, download: 5, verify: 6, port: 7, caddy: 8 } as const;

describeAppliance('the installer, where it must refuse', () => {
  let workshop: Workshop;
  let machine: Machine;
  let before: string[];

  beforeAll(async () => {
    workshop = await openWorkshop();
    machine = await workshop.machine('refusals');
    // So that a machine with packages of its own can be looked at too, and apt is out of the way.
    await machine.must(
      'apt-get update -qq && apt-get install -y -qq bubblewrap caddy python3-minimal',
    );
    await machine.must('systemctl disable -q --now caddy');
    publish(workshop, 'current', 'forgejo-mcp');
  });
  afterAll(() => workshop.close());
  beforeEach(async () => {
    before = await treeOf(machine);
  });

  async function expectRefusal(outcome: Outcome, code: number, says: RegExp): Promise<void> {
    const told = `${outcome.stdout}\n${outcome.stderr}`;
    expect({ code: outcome.code, told }).toEqual({ code, told: expect.stringMatching(says) });
    expect(difference(before, await treeOf(machine))).toEqual([]);
    expect((await machine.shell('ls -d /tmp/fjmcp* /run/fjmcp*')).stdout).toBe('');
    expect(await machine.must('systemctl list-units --all --no-legend "fjmcp*"')).toBe('');
  }

  it('does nothing when the download was cut at any KB', async () => {
    const script = readFileSync(join(workshop.downloads, 'current', 'install.sh'));
    const cuts = Array.from({ length: Math.floor(script.length / 1024) }, (_, index) => index + 1);
    await Bun.write(join(machine.root, 'srv/install.sh'), script);
    before = await treeOf(machine);
    await machine.must(
      `for kb in ${cuts.join(' ')}; do head -c $((kb * 1024)) /srv/install.sh | sh >/srv/said 2>&1 || true; ! grep -q "==>" /srv/said; done`,
      { env: answersFor(workshop, 'current') },
    );
    expect(cuts.length).toBeGreaterThan(40);
    expect(difference(before, await treeOf(machine))).toEqual([]);
  });

  it('names an answer that is missing where there is no terminal', async () => {
    const { FJMCP_FORGEJO_URL: _, ...env } = answersFor(workshop, 'current');
    const outcome = await installByPipe(machine, workshop, 'current', { env });
    await expectRefusal(outcome, EXIT.answer, /address of Forgejo.*FJMCP_FORGEJO_URL/s);
  });

  it('does not ask whether to go on where there is no terminal', async () => {
    const { FJMCP_INSTALL_YES: _, ...env } = answersFor(workshop, 'current');
    const outcome = await installByPipe(machine, workshop, 'current', { env });
    await expectRefusal(outcome, EXIT.answer, /no terminal.*--yes/s);
  });

  it('uses nothing of an archive with a wrong checksum', async () => {
    const path = join(workshop.downloads, 'current', `${archiveName('current')}.tar.gz`);
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(bad.length - 9) ^ 1, bad.length - 9);
    await Bun.write(path, bad);
    const outcome = await installByPipe(machine, workshop, 'current');
    await Bun.write(path, good);
    await expectRefusal(outcome, EXIT.verify, /wrong checksum/);
  });

  it('uses nothing of a forgejo-mcp with a wrong checksum', async () => {
    const folder = join(workshop.downloads, 'forgejo-mcp');
    const [name = ''] = new Bun.Glob('*_checksums.txt').scanSync(folder);
    const good = readFileSync(join(folder, name), 'utf8');
    await Bun.write(
      join(folder, name),
      good.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    );
    const outcome = await installByPipe(machine, workshop, 'current');
    await Bun.write(join(folder, name), good);
    await expectRefusal(outcome, EXIT.verify, /forgejo-mcp.*wrong checksum/s);
  });

  it('says what it could not get when there is no network', async () => {
    await Bun.write(
      join(machine.root, 'srv/install.sh'),
      readFileSync(join(workshop.downloads, 'current', 'install.sh')),
    );
    before = await treeOf(machine);
    await machine.network.plug('out');
    const outcome = await machine.shell('sh /srv/install.sh', {
      env: answersFor(workshop, 'current'),
    });
    await machine.network.plug('in');
    await expectRefusal(outcome, EXIT.download, /cannot get https:\/\/get\.example\.test/);
  });

  it('names the program that holds port 80', async () => {
    await machine.must(
      'systemd-run -q --unit=other-web python3 -c "import socket,time; s=socket.socket(); s.bind((\'0.0.0.0\',80)); s.listen(); time.sleep(1e6)"',
    );
    await machine.must('until ss -Hltn "sport = :80" | grep -q .; do sleep 0.1; done');
    const outcome = await installByPipe(machine, workshop, 'current');
    await machine.must('systemctl stop other-web');
    await expectRefusal(outcome, EXIT.port, /port 80 is held by python3.*--no-caddy/s);
  });

  it('leaves a foreign Caddyfile that cannot take the site as it is', async () => {
    const site = 'mcp.example.test {\n\ttls internal\n\trespond "mine"\n}\n';
    await machine.must('cat > /etc/caddy/Caddyfile; systemctl start caddy', { stdin: site });
    before = await treeOf(machine, { without: ['var/lib/caddy'] });
    const outcome = await installByPipe(machine, workshop, 'current');
    expect(outcome.code).toBe(EXIT.caddy);
    expect(outcome.stderr).toMatch(/Caddyfile/);
    expect(difference(before, await treeOf(machine, { without: ['var/lib/caddy'] }))).toEqual([]);
    expect(await machine.must('systemctl is-active caddy')).toBe('active\n');
  });

  it('adds one line to a foreign Caddyfile that can take the site, and takes it back', async () => {
    const site = 'other.example.test {\n\ttls internal\n\trespond "mine"\n}\n';
    await machine.must('cat > /etc/caddy/Caddyfile; systemctl restart caddy', { stdin: site });
    const outcome = await installByPipe(machine, workshop, 'current');
    expect(outcome.code).toBe(0);
    const now = await machine.must('cat /etc/caddy/Caddyfile');
    expect(now).toBe(`${site}\nimport /etc/caddy/fjmcp-broker.caddy\n`);
    const ask = (name: string, path: string) =>
      machine.must(`curl -sk --resolve ${name}:443:127.0.0.1 https://${name}${path}`);
    expect(await ask('other.example.test', '/')).toBe('mine');
    expect(await ask('mcp.example.test', '/healthz')).toContain('"status":"ok"');
    await installByPipe(machine, workshop, 'current', { flags: '--uninstall --purge' });
    expect(await machine.must('cat /etc/caddy/Caddyfile')).toBe(site);
    expect(await ask('other.example.test', '/')).toBe('mine');
  });
});
