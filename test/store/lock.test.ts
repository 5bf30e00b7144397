import { afterEach, beforeEach, describe, expect, it } from 'bun:test';
import { StoreOpenError } from '../../app/store/store-error.ts';
import { addClient, Directory, failure, open } from './harness.ts';

let directory: Directory;
const started: Bun.Subprocess[] = [];

beforeEach(() => {
  directory = new Directory();
});

afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill('SIGKILL');
    await child.exited;
  }
  directory.remove();
});

/** Another process that opens the store; `said` is what became of it. */
async function otherProcess() {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/hold-store.ts`, directory.store], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  started.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return { child, said: new TextDecoder().decode(value).trim() };
}

async function expectLocked(): Promise<void> {
  const error = await failure(() => open({ path: directory.store }));
  expect(error).toBeInstanceOf(StoreOpenError);
  expect((error as StoreOpenError).kind).toBe('locked');
  expect((error as StoreOpenError).message).toContain(directory.store);
}

describe('the lock of a store', () => {
  it('refuses a second opening in the same process', async () => {
    const { store } = open({ path: directory.store });
    await expectLocked();
    await store.close();
  });

  it('refuses a second opening from another process', async () => {
    const { store } = open({ path: directory.store });
    expect((await otherProcess()).said).toBe('locked');
    await store.close();
  });

  it('still refuses other processes after a second opening here was refused', async () => {
    const { store } = open({ path: directory.store });
    await expectLocked();
    await expectLocked();
    expect((await otherProcess()).said).toBe('locked');
    await addClient(store, 'client-1');
    await store.close();
  });

  it('is free after close', async () => {
    const { store } = open({ path: directory.store });
    await store.close();
    const other = await otherProcess();
    expect(other.said).toBe('open');
    await expectLocked();
    other.child.stdin.end();
    expect(await other.child.exited).toBe(0);
    await open({ path: directory.store }).store.close();
  });

  it('is free after its process was SIGKILLed, and every committed row is there', async () => {
    const { store } = open({ path: directory.store });
    await addClient(store, 'client-1');
    await store.close();
    const { child, said } = await otherProcess();
    expect(said).toBe('open');
    child.kill('SIGKILL');
    await child.exited;

    const again = open({ path: directory.store });
    expect(await again.store.clients.find('client-1')).toBeDefined();
    expect(await again.store.writable()).toBe(true);
    await again.store.close();
  });

  it('lets another process read, as a backup does', async () => {
    const { store } = open({ path: directory.store });
    await addClient(store, 'client-1');
    const script = `
      const { Database } = require('bun:sqlite');
      const store = new Database(process.argv[1], { readonly: true });
      console.log(store.query('SELECT id FROM clients').get().id);
    `;
    const reader = Bun.spawnSync([process.execPath, '-e', script, directory.store]);
    expect(reader.stdout.toString().trim()).toBe('client-1');
    await store.close();
  });

  it('does not exist for a store in memory', async () => {
    const first = open();
    const second = open();
    await first.store.close();
    await second.store.close();
  });

  it('may be left to the broker before, until that gives it away', async () => {
    const { store: before } = open({ path: directory.store });
    const { store: successor } = open({ path: directory.store, lock: 'later' });
    // Both read and write meanwhile.
    await addClient(before, 'a');
    expect(await successor.answers()).toBe(true);
    expect(() => successor.takeLock()).toThrow(StoreOpenError);
    before.releaseLock();
    successor.takeLock();
    await expectLocked();
    // What the one before still has to write for its open requests it may.
    await addClient(before, 'b');
    await before.close();
    await expectLocked();
    await successor.close();
  });

  it('can be taken back when no successor has taken it', async () => {
    const { store } = open({ path: directory.store });
    store.releaseLock();
    store.takeLock();
    store.takeLock();
    await expectLocked();
    await store.close();
  });
});
