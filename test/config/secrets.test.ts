import { describe, expect, it } from 'bun:test';
import { faults, loaded, STORE_KEY } from './config-input.ts';

const MAKE_ONE = "make one: (umask 077; head -c 32 /dev/urandom > '/etc/fjmcp/store.key')";
const key = (file: object | string | Uint8Array) => ({ files: { '/etc/fjmcp/store.key': file } });

describe('store key', () => {
  it('[GHSA-g53w-w6mj-hrpp] is not made in silence: without one the fault holds the command that makes it', () => {
    const told = faults({ env: { FJMCP_STORE_KEY_FILE: undefined } });
    expect(told).toHaveLength(1);
    expect(told[0]).toStartWith(
      '--store-key-file (FJMCP_STORE_KEY_FILE, store_key_file): is missing',
    );
    expect(told[0]).toContain('(umask 077; head -c 32 /dev/urandom > ');
    const absent = faults({ env: { FJMCP_STORE_KEY_FILE: '/absent' } });
    expect(absent[0]).toContain("head -c 32 /dev/urandom > '/absent'");
  });

  it.each([0o640, 0o604, 0o660, 0o622, 0o610, 0o601])(
    'is refused from a file of mode %o, which others of the machine can touch',
    (mode) => {
      const told = faults(key({ bytes: STORE_KEY, mode }));
      expect(told[0]).toContain("chmod 600 '/etc/fjmcp/store.key'");
    },
  );

  it.each([0o600, 0o400, 0o700])('is read from a file of mode %o', (mode) => {
    expect(loaded(key({ bytes: STORE_KEY, mode })).storeKey).toEqual(STORE_KEY);
  });

  it('is refused from what is not a regular file', () => {
    expect(faults(key({ isRegular: false }))[0]).toContain('is not a regular file');
  });

  it.each([0, 31, 33, 64])('is refused with %d bytes', (count) => {
    const told = faults(key(new Uint8Array(count).map((_, index) => index + 128)));
    expect(told[0]).toContain(MAKE_ONE);
  });

  it('is refused when it is one byte 32 times: nobody drew that', () => {
    expect(faults(key(new Uint8Array(32)))[0]).toContain('that is no key');
    const text = Buffer.alloc(32, 7).toString('base64');
    expect(faults(key(text))[0]).toContain('that is no key');
  });

  it('is read raw, and as base64 with or without a line feed', () => {
    const base64 = Buffer.from(STORE_KEY).toString('base64');
    expect(base64).toHaveLength(44);
    for (const file of [STORE_KEY, base64, `${base64}\n`]) {
      expect(loaded(key(file)).storeKey).toEqual(STORE_KEY);
    }
  });

  it('never stands in a fault', () => {
    const almost = `${Buffer.from(STORE_KEY).toString('base64').slice(0, 40)}!!!!`;
    expect(faults(key(almost)).join()).not.toContain(almost.slice(0, 40));
  });

  it('is read from the systemd credential, whose mode systemd looks after', () => {
    const config = loaded({
      env: { FJMCP_STORE_KEY_FILE: undefined, CREDENTIALS_DIRECTORY: '/run/credentials/x' },
      files: { '/run/credentials/x/store-key': { bytes: STORE_KEY, mode: 0o440 } },
    });
    expect(config.storeKey).toEqual(STORE_KEY);
  });
});

describe('previous store key', () => {
  const PATH = '/etc/fjmcp/store-previous.key';
  const PREVIOUS = STORE_KEY.map((byte) => byte + 100);
  const named = (file?: object | string | Uint8Array) => ({
    env: { FJMCP_STORE_PREVIOUS_KEY_FILE: PATH },
    ...(file === undefined ? {} : { files: { [PATH]: file } }),
  });

  it('is refused like the other one: open to others, no key, no file', () => {
    for (const [file, part] of [
      [{ bytes: PREVIOUS, mode: 0o640 }, `chmod 600 '${PATH}'`],
      ['not a key', 'is not a key of 32 bytes'],
      [new Uint8Array(31).fill(7), 'is not a key of 32 bytes'],
      [{ isRegular: false }, 'is not a regular file'],
    ] as const) {
      const told = faults(named(file));
      expect(told).toHaveLength(1);
      expect(told[0]).toStartWith(
        '--store-previous-key-file (FJMCP_STORE_PREVIOUS_KEY_FILE, store_previous_key_file): ',
      );
      expect(told[0]).toContain(part);
    }
  });

  it('is none without a file, with an empty one, and with one that says so', () => {
    for (const given of [{}, named(), named(''), named('\n'), named('none'), named('none\n')]) {
      expect(loaded(given).storePreviousKey).toBeUndefined();
    }
  });

  it('is read from its file, and from the systemd credential', () => {
    expect(loaded(named(PREVIOUS)).storePreviousKey).toEqual(PREVIOUS);
    const config = loaded({
      env: { CREDENTIALS_DIRECTORY: '/run/credentials/x' },
      files: { '/run/credentials/x/store-previous-key': { bytes: PREVIOUS, mode: 0o440 } },
    });
    expect(config.storePreviousKey).toEqual(PREVIOUS);
  });
});

describe('FORGEJO_CLIENT_SECRET', () => {
  const without = { FJMCP_FORGEJO_CLIENT_SECRET: undefined };
  const byFile = { ...without, FJMCP_FORGEJO_CLIENT_SECRET_FILE: '/s' };

  it('is refused when it is missing, empty, given twice or unreadable', () => {
    expect(faults({ env: without })[0]).toContain('is missing');
    expect(faults({ env: byFile, files: { '/s': ' \n' } })[0]).toContain('is empty');
    expect(faults({ env: byFile })[0]).toContain('cannot read /s');
    const twice = faults({
      env: { FJMCP_FORGEJO_CLIENT_SECRET_FILE: '/s' },
      files: { '/s': 'canary-b' },
    });
    expect(twice[0]).toContain('is given twice');
    expect(twice.join()).not.toContain('canary');
  });

  it('is refused with characters that no secret has: a file of another kind was named', () => {
    const told = faults({ env: byFile, files: { '/s': 'canary-b\nsecond line' } });
    expect(told[0]).toContain('holds white space, or characters beyond ASCII');
    expect(told.join()).not.toContain('canary');
  });

  it('is read from its variable, its file and its systemd credential', () => {
    expect(loaded().forgejoClientSecret.reveal()).toBe('canary-upstream-secret');
    const file = loaded({ env: byFile, files: { '/s': 'from-file\n' } });
    expect(file.forgejoClientSecret.reveal()).toBe('from-file');
    const credential = loaded({
      env: { ...without, CREDENTIALS_DIRECTORY: '/run/credentials/x' },
      files: { '/run/credentials/x/forgejo_client_secret': 'from-credential' },
    });
    expect(credential.forgejoClientSecret.reveal()).toBe('from-credential');
  });

  it('is warned of when every user of the machine can read its file', () => {
    const files = { '/s': { bytes: new TextEncoder().encode('x1'), mode: 0o644 } };
    expect(loaded({ env: byFile, files }).warnings.join()).toContain(
      '/s can be read by every user',
    );
    const kept = { '/s': { bytes: new TextEncoder().encode('x1'), mode: 0o640 } };
    expect(loaded({ env: byFile, files: kept }).warnings).toEqual([]);
  });
});
