import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'bun:test';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeMachine, fakeMachine, giveDebianCaddyfile } from './machine.ts';
import { type FakeReleases, fakeReleases } from './release.ts';
import { describeUnderShells } from './shells.ts';

const TOKEN = 'a0123456789abcdef0123456789abcdef0123456';
const CREATED = {
  id: 1,
  name: 'forgejo-mcp-broker',
  client_id: '0b9a5c1e-1111-2222-3333-444455556666',
  client_secret: 'gto_made_by_forgejo',
  redirect_uris: ['https://mcp.example.org/oauth/callback'],
};

describeUnderShells('the OAuth2 application by the API of Forgejo', (shell) => {
  let releases: FakeReleases;
  let machine: FakeMachine;
  let forge: Bun.Server<undefined>;
  let asked: { path: string; authorization: string | null; body: unknown }[];
  let answer: () => Response;
  beforeAll(() => {
    releases = fakeReleases(['1.0.0']);
    forge = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        const path = `${request.method} ${new URL(request.url).pathname}`;
        const authorization = request.headers.get('authorization');
        asked.push({ path, authorization, body: await request.json() });
        return answer();
      },
    });
  });
  afterAll(async () => {
    await forge.stop(true);
    releases.close();
  });
  beforeEach(() => {
    asked = [];
    answer = () => Response.json(CREATED, { status: 201 });
    machine = fakeMachine(shell);
    giveDebianCaddyfile(machine);
    listenIn(machine);
  });
  afterEach(() => machine.close());

  const run = (env: Record<string, string> = {}, ...argv: string[]) =>
    machine.run(['--offline', releases.folder('1.0.0'), ...argv], {
      FJMCP_FORGEJO_URL: `http://127.0.0.1:${forge.port}`,
      FJMCP_FORGEJO_CLIENT_ID: '',
      FJMCP_FORGEJO_CLIENT_SECRET: '',
      FJMCP_INSTALL_FORGEJO_TOKEN: TOKEN,
      ...env,
    });

  it('is made once, confidential, with the callback of the public address', async () => {
    const { code, out } = await run();
    expect(code).toBe(0);
    expect(asked).toEqual([
      {
        path: 'POST /api/v1/user/applications/oauth2',
        authorization: `token ${TOKEN}`,
        body: {
          name: 'forgejo-mcp-broker',
          redirect_uris: ['https://mcp.example.org/oauth/callback'],
          confidential_client: true,
        },
      },
    ]);
    expect(out).toContain('delete it in Forgejo');
    expect(machine.read('etc/fjmcp-broker/config.toml')).toContain(
      `forgejo_client_id = "${CREATED.client_id}"`,
    );
    expect(machine.read('etc/fjmcp-broker/credentials/forgejo_client_secret')).toBe(
      CREATED.client_secret,
    );
    expect((await run()).code).toBe(0);
    expect(asked).toHaveLength(1);
  });

  it('is asked for where this machine reaches Forgejo', async () => {
    const { code } = await run({
      FJMCP_FORGEJO_URL: 'https://git.example.org',
      FJMCP_FORGEJO_INTERNAL_URL: `http://127.0.0.1:${forge.port}`,
    });
    expect(code).toBe(0);
    expect(asked).toHaveLength(1);
    expect(machine.read('etc/fjmcp-broker/config.toml')).toContain('forgejo_internal_url');
  });

  it('leaves the token in no file, no argument and no output', async () => {
    const { out, err } = await run();
    expect(out + err).not.toContain(TOKEN);
    expect(out + err).not.toContain(CREATED.client_secret);
    const heard = readFileSync(join(machine.state, 'heard'), 'utf8');
    expect(heard).toContain('applications/oauth2');
    expect(heard).not.toContain(TOKEN);
    expect(heard).not.toContain(CREATED.client_secret);
    for (const [path, told] of Object.entries(machine.tree())) {
      if (told.startsWith('->') || told.endsWith('directory')) continue;
      expect(readFileSync(machine.path(path)).includes(TOKEN)).toBe(false);
    }
  });

  it('takes the token from a file', async () => {
    const file = join(machine.state, 'token');
    writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
    const env = { FJMCP_INSTALL_FORGEJO_TOKEN: '' };
    expect((await run(env, '--forgejo-token-file', file)).code).toBe(0);
    expect(asked[0]?.authorization).toBe(`token ${TOKEN}`);
  });

  for (const [what, status, words] of [
    ['refuses the token', 403, 'it needs the permission write:user'],
    ['does not know the token', 401, 'it needs the permission write:user'],
    ['fails', 500, 'answered 500'],
  ] as const) {
    it(`14: Forgejo ${what}: nothing is installed`, async () => {
      const before = machine.tree();
      answer = () => Response.json({ message: 'no' }, { status });
      const { code, err } = await run();
      expect(code).toBe(14);
      expect(err).toContain(words);
      expect(machine.tree()).toEqual(before);
    });
  }

  it('14: Forgejo answers without a secret, or not at all', async () => {
    answer = () => Response.json({ client_id: 'x' }, { status: 201 });
    expect((await run()).code).toBe(14);
    const away = await run({ FJMCP_FORGEJO_URL: 'http://127.0.0.1:1' });
    expect(away.code).toBe(14);
    expect(away.err).toContain('cannot be reached');
  });
});

/** Writes down the arguments that curl is given: everybody on a machine can read them. */
function listenIn(machine: FakeMachine): void {
  const curl = machine.tool('curl');
  rmSync(curl);
  const heard = join(machine.state, 'heard');
  writeFileSync(curl, `#!/bin/sh\necho "$*" >>'${heard}'\nexec ${Bun.which('curl')} "$@"\n`);
  chmodSync(curl, 0o755);
}
