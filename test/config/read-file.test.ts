import { afterAll, describe, expect, it } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfigFile } from '../../app/config/read-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'fjmcp-config-'));

afterAll(() => rmSync(directory, { recursive: true }));

describe('configuration files', () => {
  it('tells what cannot be read', () => {
    expect(() => readConfigFile(join(directory, 'absent'))).toThrow('no such file');
  });

  it('tells a directory and a named pipe apart from a file, without waiting for a writer', () => {
    expect(readConfigFile(directory)).toMatchObject({ isRegular: false });
    const pipe = join(directory, 'pipe');
    Bun.spawnSync(['mkfifo', pipe]);
    expect(readConfigFile(pipe)).toMatchObject({ isRegular: false });
  });

  it('refuses a file beyond a megabyte, and takes one of a megabyte', () => {
    const path = join(directory, 'large');
    writeFileSync(path, new Uint8Array(1024 ** 2));
    expect(readConfigFile(path).bytes).toHaveLength(1024 ** 2);
    writeFileSync(path, new Uint8Array(1024 ** 2 + 1));
    expect(() => readConfigFile(path)).toThrow('larger than a megabyte');
  });

  it('gives bytes and mode of what a link leads to', () => {
    const path = join(directory, 'file');
    writeFileSync(path, 'abc');
    chmodSync(path, 0o640);
    symlinkSync(path, join(directory, 'link'));
    const content = readConfigFile(join(directory, 'link'));
    expect(content).toEqual({ bytes: Buffer.from('abc'), isRegular: true, mode: 0o640 });
  });
});
