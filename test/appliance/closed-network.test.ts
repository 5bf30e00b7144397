import { afterAll, beforeAll, expect, it } from 'bun:test';
import { describeAppliance } from './harness/describe.ts';
import type { Machine } from './harness/machine.ts';
import { NAMES } from './harness/network.ts';
import {
  answersFor,
  connected,
  installByPipe,
  ORIGIN,
  outsideFetch,
  publish,
  whoami,
} from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

describeAppliance('an installation in a closed network', () => {
  let workshop: Workshop;
  let machine: Machine;

  beforeAll(async () => {
    workshop = await openWorkshop();
    publish(workshop, 'current', 'forgejo-mcp');
    machine = await workshop.machine('closed');
    await machine.must('apt-get update -qq && apt-get install -y -qq bubblewrap caddy');
  });
  afterAll(() => workshop.close());

  it('takes what another machine has fetched and verified', async () => {
    const { FJMCP_INSTALL_FORGEJO_MCP_BASE_URL = '' } = answersFor(workshop, 'current');
    const fetched = await installByPipe(machine, workshop, 'current', {
      env: { FJMCP_INSTALL_FORGEJO_MCP_BASE_URL },
      flags: '--fetch /srv/files',
    });
    expect(fetched).toMatchObject({ code: 0 });
    const names = (await machine.must('ls /srv/files')).trim().split('\n');
    for (const name of ['SHA256SUMS', 'install.sh']) expect(names).toContain(name);
    await machine.must('sha256sum --check --ignore-missing --quiet SHA256SUMS', {
      cwd: '/srv/files',
    });
  });

  it('makes the application in Forgejo with a token of one use, and keeps no trace of it', async () => {
    // From here on neither downloads nor packages can be had.
    await machine.must(
      `grep -v -e ${NAMES.downloads} -e ${NAMES.debian} /etc/hosts > /srv/hosts; cat /srv/hosts > /etc/hosts`,
    );
    const installed = await machine.shell(
      'sh /srv/files/install.sh --offline /srv/files --tls internal --yes',
      {
        env: {
          FJMCP_PUBLIC_URL: ORIGIN,
          FJMCP_FORGEJO_URL: workshop.internet.forge,
          FJMCP_INSTALL_FORGEJO_TOKEN: workshop.forgeToken,
        },
      },
    );
    expect(installed).toMatchObject({ code: 0 });
    expect(`${installed.stdout}${installed.stderr}`).not.toContain(workshop.forgeToken);
    const { stdout } = await machine.shell(
      `grep -rlF ${workshop.forgeToken} /etc /opt /var /root /srv /tmp /run 2>/dev/null`,
    );
    expect(stdout).toBe('');
    const client = await connected(await outsideFetch(machine, workshop), 'alice');
    expect(await whoami(client)).toContain('alice');
    await client.close();
  });
});
