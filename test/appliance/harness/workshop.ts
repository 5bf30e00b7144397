import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newToken, systemRandom } from '../../../app/base/secret.ts';
import { type DemoForge, startDemoForge } from '../../../app/demo/forge.ts';
import type { DemoTokenAnswer } from '../../../app/demo/forge-tokens.ts';
import { Canaries } from '../../support/canaries.ts';
import type { Wiretap } from '../../support/wiretap.ts';
import { type Certificates, createCertificates } from './certificates.ts';
import { type Internet, startInternet } from './internet.ts';
import { createMachine, type Machine } from './machine.ts';
import { createNetwork, NAMES, type Network } from './network.ts';

/** What `bun run test:appliance` has made before the tests; they find it in the environment. */
export interface Prepared {
  /** For all files of the run; removed at its end. */
  readonly directory: string;
  /** A tar of a fresh Debian 12. */
  readonly image: string;
  /** A directory with a folder for each release, as `makeReleases` makes them. */
  readonly releases: string;
  /** The file that this process and its children see as /etc/hosts. */
  readonly hosts: string;
}

export const PREPARED_VARIABLE = 'FJMCP_APPLIANCE_PREPARED';

/** The names under which secrets travel between person, client, broker and forge. */
const WIRE_NAMES = [
  ...['access_token', 'refresh_token', 'code', 'code_verifier', 'state', 'approval'],
  ...['__Host-fjmcp-browser', 'mcp-session-id'],
];

/** A small internet with a forge and downloads, and machines on it. */
export interface Workshop {
  readonly prepared: Prepared;
  readonly directory: string;
  /** What lies here can be had from the downloads' address. */
  readonly downloads: string;
  readonly certificates: Certificates;
  readonly forge: DemoForge;
  readonly forgeClient: { readonly id: string; readonly secret: string };
  /** With it an OAuth2 application can be made at the forge; it is `forgeClient` then. */
  readonly forgeToken: string;
  readonly network: Network;
  readonly internet: Internet;
  /** A machine that has just been booted for the first time; the broker's public name is its. */
  machine(name: string): Promise<Machine>;
  /** Every secret that has come up so far, between all who talk to each other. */
  secrets(machine: Machine, wiretap: Wiretap): Promise<Canaries>;
  /** Ends everything that it has given out. */
  close(): Promise<void>;
}

/** Sets everything up around machines. */
export async function openWorkshop(): Promise<Workshop> {
  const prepared = readPrepared();
  const directory = mkdtempSync(join(prepared.directory, 'workshop-'));
  const downloads = join(directory, 'downloads');
  mkdirSync(downloads);
  const certificates = await createCertificates(directory, [NAMES.downloads, NAMES.forge]);
  const forgeClient = { id: crypto.randomUUID(), secret: `gto_${newToken(systemRandom)}` };
  const forgeToken = newToken(systemRandom);
  const issued: DemoTokenAnswer[] = [];
  const forge = await startDemoForge({
    clientId: forgeClient.id,
    clientSecret: forgeClient.secret,
    redirectUris: [`https://${NAMES.broker}/oauth/callback`],
    onTokens: (answer) => issued.push(answer),
  });
  const network = await createNetwork(prepared.directory);
  const names = `${network.address} ${NAMES.downloads} ${NAMES.forge}`;
  const internet = startInternet({
    ...{ network, certificates },
    downloadsDirectory: downloads,
    forgeUrl: forge.url,
    application: {
      token: forgeToken,
      clientId: forgeClient.id,
      clientSecret: forgeClient.secret,
    },
  });
  const machines: Machine[] = [];
  return {
    ...{
      prepared,
      directory,
      downloads,
      certificates,
      forge,
      forgeClient,
      forgeToken,
      network,
      internet,
    },
    async machine(name) {
      const machine = await createMachine(name, {
        ...{ image: prepared.image, network, authority: certificates.authority },
        directory: join(directory, 'machines'),
      });
      machines.push(machine);
      const lines = ['127.0.0.1 localhost', names, `${machine.address} ${NAMES.broker}`];
      writeFileSync(prepared.hosts, `${lines.join('\n')}\n`);
      return machine;
    },
    async secrets(machine, wiretap) {
      const canaries = new Canaries();
      canaries.add('forge client secret', forgeClient.secret);
      canaries.add('forge token', forgeToken);
      const key = `${machine.root}/etc/fjmcp-broker/credentials/store-key`;
      canaries.add('store key', readFileSync(key));
      for (const { access_token, refresh_token } of issued) {
        canaries.add('upstream access token', access_token);
        canaries.add('upstream refresh token', refresh_token);
      }
      for (const [value, name] of wiretap.valuesOf(WIRE_NAMES)) canaries.add(name, value);
      return canaries;
    },
    async close() {
      await Promise.all(machines.map((machine) => machine.remove()));
      await internet.stop();
      await network.remove();
      await forge.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function readPrepared(): Prepared {
  const text = process.env[PREPARED_VARIABLE];
  if (text === undefined) throw new Error(`${PREPARED_VARIABLE} is not set`);
  return JSON.parse(text) as Prepared;
}
