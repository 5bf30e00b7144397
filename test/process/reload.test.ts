import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerProcess, type Stage, setStage } from '../support/broker-process.ts';
import { fixtureCommand } from '../support/fixture-supervisor.ts';
import { ownCommand } from '../support/own-command.ts';
import { RawSession } from '../support/raw-session.ts';
import { accessTokenOf } from '../support/sign-in.ts';
import { DEMO_CHILD } from '../support/system.ts';

let stage: Stage;
let broker: BrokerProcess;

beforeEach(async () => {
  stage = await setStage({ childCommand: fixtureCommand() });
  write('');
  broker = await stage.start({ settings: { LOG_LEVEL: undefined } });
});

afterEach(async () => {
  await stage.end();
});

function write(more: string): void {
  const command = `child_command = ${JSON.stringify(fixtureCommand())}\n`;
  writeFileSync(join(stage.directory, 'config.toml'), command + more);
}

const reload = (...words: string[]) =>
  ownCommand('reload', '--control-socket', `${stage.storePath}.control`, ...words);

/** Whether scripts of that origin may read the answers. */
async function isAllowed(origin: string): Promise<boolean> {
  const answer = await fetch(`${stage.origin}/mcp`, { method: 'POST', headers: { origin } });
  return answer.headers.get('access-control-allow-origin') === origin;
}

/** What clients are told to ask for. */
async function scopesOffered(): Promise<unknown> {
  const answer = await fetch(`${stage.origin}/.well-known/oauth-protected-resource/mcp`);
  return ((await answer.json()) as { readonly scopes_supported?: unknown }).scopes_supported;
}

/** Waits for one more notice on a listening stream that the list of tools is another one. */
function changesHeard(response: Response): () => Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return async () => {
    for (;;) {
      const at = text.indexOf('notifications/tools/list_changed');
      if (at !== -1) {
        text = text.slice(at + 1);
        return;
      }
      const read = await reader?.read();
      if (read?.value === undefined) throw new Error('the stream has ended');
      text += read.value;
    }
  };
}

describe('fjmcp-broker reload', () => {
  it('changes a live setting and tells it, and no session is dropped', async () => {
    const session = await RawSession.open(stage.mcpUrl, await accessTokenOf(stage.mcpUrl));
    const { pid } = await session.tool<{ pid: number }>('self');
    expect(await isAllowed('https://app.example')).toBe(false);
    write('allowed_origins = ["https://app.example"]\nlog_level = "debug"\n');
    const { code, stdout } = await reload();
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        'ALLOWED_ORIGINS was "" and is "https://app.example" now\n' +
        'LOG_LEVEL was "info" and is "debug" now\n',
    });
    expect(await isAllowed('https://app.example')).toBe(true);
    expect(await session.tool<{ pid: number }>('self')).toMatchObject({ pid });
    expect(await broker.logged('config.changed', 2)).toMatchObject([
      { setting: 'ALLOWED_ORIGINS', from: '', to: 'https://app.example' },
      { setting: 'LOG_LEVEL', from: 'info', to: 'debug' },
    ]);
    // The log level holds for what was there before, too.
    await broker.logged('http.request');
  });

  it('changes what is asked for by default, never beyond the most', async () => {
    expect(await scopesOffered()).toEqual(['forgejo:read', 'forgejo:write', 'forgejo:delete']);
    broker.kill('SIGTERM');
    await broker.exited;
    broker = await stage.start({ settings: { DEFAULT_SCOPE: undefined } });
    expect(await scopesOffered()).toEqual(['forgejo:read', 'forgejo:write']);
    write('default_scope = "forgejo:read"\n');
    await reload();
    expect(await scopesOffered()).toEqual(['forgejo:read']);
    write('default_scope = "forgejo:delete"\nmax_scope = "forgejo:write"\n');
    await reload();
    expect(await scopesOffered()).toEqual(['forgejo:read', 'forgejo:write']);
  });

  it('refuses a scope that there is not, and the ceiling stays', async () => {
    write('max_scope = "forgejo:admin"\n');
    const { code, stderr } = await reload();
    expect(code).toBe(1);
    expect(stderr).toContain('max_scope');
    expect(await scopesOffered()).toHaveLength(3);
  });

  it('names the file of tools when that has changed, which needs a restart', async () => {
    const file = join(stage.directory, 'tools.toml');
    writeFileSync(file, '[tools]\nmerge_pull_request = { class = "delete" }\n');
    write(`tools_file = ${JSON.stringify(file)}\n`);
    expect((await reload()).stdout).toBe('TOOLS_FILE has changed and needs a restart\n');
  });

  it('lowers and raises what connections may do, from the next request on', async () => {
    const offered = async () => {
      const url = `${stage.origin}/.well-known/oauth-authorization-server`;
      const { scope_descriptions: scopes } = (await (await fetch(url)).json()) as {
        scope_descriptions: Record<string, string>;
      };
      return Object.keys(scopes);
    };
    const before = await offered();
    expect(before).toContain('forgejo:delete');
    write('max_scope = "forgejo:read"\n');
    expect((await reload()).stdout).toBe(
      'MAX_SCOPE was "forgejo:delete" and is "forgejo:read" now\n',
    );
    expect(await offered()).toEqual(['forgejo:read']);
    write('');
    await reload();
    expect(await offered()).toEqual(before);
  });

  it('says which settings need a restart, and leaves them', async () => {
    write('max_sessions = 7\n');
    const { code, stdout } = await reload();
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'MAX_SESSIONS has changed and needs a restart\n',
    });
    const named = await broker.logged('config.needs_restart');
    expect(named).toMatchObject([{ setting: 'MAX_SESSIONS' }]);
  });

  it('refuses all of it when a part is wrong, with every fault, and exits 1', async () => {
    write('allowed_origins = ["https://app.example", "nonsense"]\nmax_sesions = 7\n');
    const { code, stderr } = await reload();
    expect(code).toBe(1);
    expect(stderr).toContain('allowed_origins');
    expect(stderr).toContain('max_sesions: there is no such key');
    expect(await isAllowed('https://app.example')).toBe(false);
    expect(await broker.logged('config.refused', 2)).toHaveLength(2);
    expect(broker.log('config.changed')).toEqual([]);
  });

  it('says when nothing has changed, also as JSON', async () => {
    expect(await reload()).toMatchObject({ code: 0, stdout: 'nothing has changed\n' });
    const { stdout } = await reload('--json');
    expect(JSON.parse(stdout)).toEqual({
      ...{ kind: 'settings', changed: [], needRestart: [], warnings: [] },
    });
  });

  it('exits 1 when no broker runs, and 2 for a flag that there is not', async () => {
    broker.kill('SIGTERM');
    await broker.exited;
    expect((await reload()).code).toBe(1);
    expect((await reload('--now')).code).toBe(2);
  });
});

describe('SIGHUP', () => {
  it('does the same without an answer: the log has it', async () => {
    write('allowed_origins = ["https://app.example"]\n');
    broker.kill('SIGHUP');
    await broker.logged('config.reloaded');
    expect(await isAllowed('https://app.example')).toBe(true);
    write('allowed_origins = ["nonsense"]\n');
    broker.kill('SIGHUP');
    await broker.logged('config.refused');
    expect(await isAllowed('https://app.example')).toBe(true);
  });

  it('knows a static client from then on, and none that is gone from the file', async () => {
    const isKnown = async () => {
      const url = `${stage.origin}/oauth/authorize?client_id=dash`;
      // What is missing besides is told to the client, but only to one that is known.
      return (await fetch(url, { redirect: 'manual' })).status === 303;
    };
    expect(await isKnown()).toBe(false);
    const table = '[[static_clients]]\nid = "dash"\nname = "Dashboard"\n';
    write(`${table}redirect_uris = ["http://127.0.0.1:1/cb"]\n`);
    broker.kill('SIGHUP');
    await broker.logged('config.reloaded');
    const changed = await broker.logged('config.changed');
    expect(changed).toMatchObject([{ setting: 'STATIC_CLIENTS' }]);
    expect(await isKnown()).toBe(true);
    write('');
    broker.kill('SIGHUP');
    await broker.logged('config.reloaded', 2);
    expect(await isKnown()).toBe(false);
  });
});

describe('a ceiling that a reload has moved', () => {
  it('holds for open sessions at once, and whoever listens is told before asking', async () => {
    broker.kill('SIGTERM');
    await broker.exited;
    // As forgejo-mcp it promises to tell of another list, which the fixture does not.
    const CHILD_COMMAND = `${DEMO_CHILD.join(' ')} --url {forgejo_url}`;
    broker = await stage.start({ settings: { CHILD_COMMAND } });
    const session = await RawSession.open(stage.mcpUrl, await accessTokenOf(stage.mcpUrl));
    const leaving = new AbortController();
    const hears = changesHeard(await session.listen(leaving.signal));
    const ask = () => session.tool('create_issue', { owner: 'alice', repo: 'website' });
    write('max_scope = "forgejo:read"\n');
    broker.kill('SIGHUP');
    await hears();
    await expect(ask()).rejects.toThrow('the administrator allows no more than forgejo:read');
    expect(await scopesOffered()).toEqual(['forgejo:read']);
    write('');
    broker.kill('SIGHUP');
    await hears();
    expect(await scopesOffered()).toHaveLength(3);
    // The program has seen it.
    await expect(ask()).rejects.toThrow('missing arguments: title');
    leaving.abort();
  });
});
