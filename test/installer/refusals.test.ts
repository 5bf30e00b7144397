import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'bun:test';
import { appendFileSync, cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile } from './machine.ts';
import {
  type FakeReleases,
  FORGEJO_MCP_VERSION,
  fakeReleases,
  mcpArchiveName,
  sealFolder,
  serveFolder,
} from './release.ts';
import { describeUnderShells } from './shells.ts';

describeUnderShells('a refusal of the installer', (shell) => {
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

  /** The run is refused with that code and that sentence, and has changed nothing at all. */
  async function expectRefusal(
    code: number,
    words: string | RegExp,
    argv: readonly string[],
    env: Record<string, string> = {},
  ): Promise<void> {
    const before = machine.tree();
    const run = await machine.run(argv, env);
    expect({ code: run.code, err: run.err }).toEqual({ code, err: expect.stringMatching(words) });
    expect(run.err).not.toContain('gto_thesecret');
    expect(machine.tree()).toEqual(before);
    expect(machine.calls().filter((call) => !/^(caddy|apt-get)/.test(call))).toEqual([]);
  }

  /** A copy of the release's folder, to be spoilt. */
  function spoilt(): string {
    const folder = join(machine.state, 'release');
    cpSync(offline, folder, { recursive: true });
    return folder;
  }

  it('2: a flag that does not exist, a value that is missing, two things at once', async () => {
    await expectRefusal(2, 'no flag --frobnicate', ['--frobnicate']);
    await expectRefusal(2, '--version needs a value', ['--version']);
    await expectRefusal(2, 'exclude each other', ['--upgrade', '--rollback']);
    await expectRefusal(2, 'neither a flag nor its value', ['now']);
    await expectRefusal(2, 'takes no value', ['--yes=1']);
    await expectRefusal(2, '--purge goes with', ['--purge']);
    await expectRefusal(2, '--fetch: which directory', ['--fetch=', '--offline', offline]);
  });

  it('2: a public address that no hosted client would take', async () => {
    for (const url of ['http://mcp.example.org', 'https://mcp.example.org/broker', 'https://']) {
      await expectRefusal(2, '--public-url', ['--offline', offline], { FJMCP_PUBLIC_URL: url });
    }
  });

  it('2: text that would mean something else in TOML, in a Caddyfile or to sed', async () => {
    for (const url of ['https://a.example"\nx=1', 'https://a{}.example', 'https://a|b.example']) {
      await expectRefusal(2, '--public-url', ['--offline', offline], { FJMCP_PUBLIC_URL: url });
    }
    await expectRefusal(2, '--version', ['--version', '../../x', '--offline', offline]);
  });

  it('2: downloads over plain http from another machine', async () => {
    await expectRefusal(2, 'plain http', ['--base-url', 'http://example.org/releases']);
  });

  it('2: a forgejo-mcp that is a script, since a script that cannot be read cannot run', async () => {
    const script = join(machine.state, 'script');
    writeFileSync(script, '#!/bin/sh\n');
    await expectRefusal(2, 'not a script', ['--offline', offline, '--forgejo-mcp', script]);
  });

  it('3: another system, no systemd, one that is too old', async () => {
    machine.fact('systemd', '247');
    await expectRefusal(3, 'systemd 247 is too old', ['--offline', offline]);
    machine.write('etc/os-release', 'PRETTY_NAME="Other Linux"\nID=other\n');
    await expectRefusal(3, 'this is Other Linux', ['--offline', offline]);
  });

  it('4: an answer is missing and there is nobody to ask', async () => {
    const none = { FJMCP_PUBLIC_URL: '' };
    await expectRefusal(4, /FJMCP_PUBLIC_URL/, ['--offline', offline], none);
    await expectRefusal(4, /FJMCP_PUBLIC_URL/, ['--offline', offline], {
      ...none,
      FJMCP_INSTALL_YES: '',
    });
  });

  it('4: no OAuth2 application: tells exactly what to make in Forgejo', async () => {
    await expectRefusal(
      4,
      /redirect URI {2}https:\/\/mcp\.example\.org\/oauth\/callback[\s\S]*FJMCP_INSTALL_FORGEJO_TOKEN/,
      ['--offline', offline],
      { FJMCP_FORGEJO_CLIENT_SECRET: '' },
    );
  });

  it('4: nobody has said yes to the plan', async () => {
    await expectRefusal(4, 'no terminal', ['--offline', offline], { FJMCP_INSTALL_YES: '' });
  });

  it('4: nothing says where to download from', async () => {
    await expectRefusal(4, '--base-url', []);
  });

  it('5: no network, and a server without the files', async () => {
    await expectRefusal(5, 'cannot get http://127.0.0.1:1/SHA256SUMS', [
      '--base-url',
      'http://127.0.0.1:1',
    ]);
    const server = serveFolder(machine.state);
    await expectRefusal(5, 'cannot get', ['--base-url', server.url]);
    await server.stop();
  });

  it('5: a version that is not there', async () => {
    await expectRefusal(5, 'does not name', ['--offline', offline, '--version', '9.9.9']);
  });

  it('6: an archive with a wrong checksum, before anything of it is unpacked', async () => {
    const folder = spoilt();
    appendFileSync(join(folder, releases.archive('1.0.0')), 'x');
    await expectRefusal(6, 'wrong checksum', ['--offline', folder]);
  });

  it('6: a forgejo-mcp with a wrong checksum', async () => {
    const folder = spoilt();
    appendFileSync(join(folder, mcpArchiveName), 'x');
    await expectRefusal(6, 'wrong checksum', ['--offline', folder], {
      FJMCP_INSTALL_FORGEJO_MCP: '',
      FJMCP_INSTALL_FORGEJO_MCP_VERSION: FORGEJO_MCP_VERSION,
    });
  });

  it('6: an archive that is not ours although its checksum is right', async () => {
    const folder = spoilt();
    cpSync(join(folder, mcpArchiveName), join(folder, releases.archive('1.0.0')));
    sealFolder(folder, '1.0.0');
    await expectRefusal(6, 'holds no fjmcp-broker', ['--offline', folder]);
  });

  it('6: an archive that would write outside of where it is unpacked', async () => {
    const folder = spoilt();
    const file = join(folder, releases.archive('1.0.0'));
    const argv = ['tar', '-C', folder, '-czPf', file, '--transform', 's,^,../,', 'install.sh'];
    expect(Bun.spawnSync(argv).exitCode).toBe(0);
    sealFolder(folder, '1.0.0');
    await expectRefusal(6, 'lead outside', ['--offline', folder]);
  });

  it('7: a port that another program holds, by name, and how to go on', async () => {
    machine.fact('port-80', 'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=7,fd=6))\n');
    await expectRefusal(7, /port 80 is held by nginx.*--no-caddy/, ['--offline', offline]);
    machine.fact('port-80', null);
    machine.fact('port-443', 'LISTEN 0 511 0.0.0.0:443 0.0.0.0:*\n');
    await expectRefusal(7, 'port 443 is held by an unknown program', ['--offline', offline]);
  });

  it('7: a Caddy that is not the one of the system', async () => {
    machine.fact('port-443', 'LISTEN 0 511 *:443 *:* users:(("caddy",pid=7,fd=6))\n');
    await expectRefusal(7, "not Debian's caddy.service", ['--offline', offline]);
  });

  it('8: a Caddyfile that does not go together with ours', async () => {
    machine.write('etc/caddy/Caddyfile', 'www.example.org {\n\tbroken\n}\n');
    machine.fact('caddy.service', 'active');
    await expectRefusal(8, /unrecognized directive: broken.*--no-caddy/, ['--offline', offline]);
  });

  it('8: a Caddyfile that serves the name already, also with --dry-run', async () => {
    machine.write('etc/caddy/Caddyfile', 'mcp.example.org {\n}\n');
    machine.fact('caddy.service', 'active');
    for (const more of [[], ['--dry-run']]) {
      await expectRefusal(8, 'serves mcp.example.org already', ['--offline', offline, ...more]);
    }
  });

  it('9: a package that cannot be had', async () => {
    machine.hide('caddy');
    machine.fact('no-packages');
    rmSync(machine.path('etc/caddy'), { recursive: true });
    await expectRefusal(9, 'cannot install caddy', ['--offline', offline]);
  });

  it('11: an upgrade, a way back and an end of what is not there', async () => {
    await expectRefusal(11, 'not installed', ['--upgrade', '--offline', offline]);
    await expectRefusal(11, 'not installed', ['--rollback']);
    await expectRefusal(11, 'not installed', ['--uninstall']);
    await expectRefusal(11, 'not installed', ['--doctor']);
  });

  it('13: another installer that runs', async () => {
    const lock = machine.path('run/lock/fjmcp-broker-install.lock');
    const holder = Bun.spawn(['flock', '-x', lock, 'sh', '-c', 'echo held; read _'], {
      stdin: 'pipe',
      stdout: 'pipe',
    });
    await holder.stdout.getReader().read();
    await expectRefusal(13, 'another installer', ['--offline', offline]);
    holder.stdin.write('\n');
    await holder.stdin.end();
    await holder.exited;
  });

  it('15: a disk without room', async () => {
    const noRoom = { FJMCP_INSTALL_ROOM_KIB: '999999999999' };
    await expectRefusal(15, 'KiB are free', ['--offline', offline], noRoom);
  });
});
