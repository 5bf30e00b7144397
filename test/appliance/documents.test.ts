import { afterAll, beforeAll, expect, it } from 'bun:test';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeAppliance } from './harness/describe.ts';
import type { Machine } from './harness/machine.ts';
import { answersFor, connected, outsideFetch, publish, whoami } from './harness/site.ts';
import { openWorkshop, type Workshop } from './harness/workshop.ts';

/** The pages that a person follows to an installation; their `sh` blocks are run as they stand. */
const PAGES = ['README.md', 'docs/deploy.md'];

for (const page of PAGES) {
  describeAppliance(`the commands of ${page} on a fresh Debian 12`, () => {
    let workshop: Workshop;
    let machine: Machine;

    beforeAll(async () => {
      workshop = await openWorkshop();
      machine = await workshop.machine('pages');
      publish(workshop, 'forgejo-mcp', 'current', { release: 'current', at: '' });
    });
    afterAll(() => workshop.close());

    for (const [index, block] of shellBlocks(page).entries()) {
      it(`${index + 1}: ${firstCommand(block)}`, async () => {
        // What a block exports is there in the next, as in the shell of the one who reads.
        const script = [
          '[ ! -e /srv/environment ] || . /srv/environment',
          asOnThisNetwork(block, workshop),
          'export -p > /srv/environment',
        ];
        await machine.must(script.join('\n'), { env: ofThisNetwork(workshop) });
      });
    }

    it('lead to a client that is connected', async () => {
      const client = await connected(await outsideFetch(machine, workshop), 'alice');
      expect(await whoami(client)).toContain('alice');
      expect(await machine.must('fjmcp-broker sessions')).toContain('alice');
      await client.close();
    });
  });
}

function shellBlocks(page: string): string[] {
  const text = readFileSync(fileURLToPath(new URL(`../../${page}`, import.meta.url)), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  if (blocks.length === 0) throw new Error(`${page} has no sh block`);
  return blocks;
}

function firstCommand(block: string): string {
  return block.split('\n')[0]?.replace(/\s+#.*$/, '') ?? '';
}

/** The names of the pages' example, and the application that Forgejo would have shown. */
function asOnThisNetwork(block: string, { forgeClient }: Workshop): string {
  return block
    .replaceAll('.example.org', '.example.test')
    .replaceAll('00000000-0000-0000-0000-000000000000', forgeClient.id)
    .replaceAll('gto_secret', forgeClient.secret);
}

/** No public authority gives a certificate to this network, and forgejo-mcp is offered here too. */
function ofThisNetwork(workshop: Workshop): Record<string, string> {
  const { FJMCP_INSTALL_TLS = '', FJMCP_INSTALL_FORGEJO_MCP_BASE_URL = '' } = answersFor(
    workshop,
    'current',
  );
  return { FJMCP_INSTALL_TLS, FJMCP_INSTALL_FORGEJO_MCP_BASE_URL };
}
