import { afterAll, beforeAll, expect, it } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../release/run.ts';
import { sign } from '../../release/sign.ts';
import { describeWith, type Requirement } from '../support/requirements.ts';

const minisign: Requirement = {
  name: 'minisign',
  present: Bun.which('minisign') !== null,
  sentence: 'no minisign here: install the Debian package minisign to sign and verify',
};

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'fjmcp-sign-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describeWith(minisign, 'the signature of a release', () => {
  it('is good with the public key, and bad once a byte is another', async () => {
    const [file, key, publicKey] = ['SHA256SUMS', 'key', 'key.pub'].map((n) => join(directory, n));
    if (file === undefined || key === undefined || publicKey === undefined) return;
    writeFileSync(file, 'digests');
    await run(['minisign', '-G', '-W', '-s', key, '-p', publicKey], { cwd: directory });
    await sign(file, key, 'fjmcp-broker 1.2.3');
    const verify = ['minisign', '-V', '-m', file, '-p', publicKey];
    expect(await run(verify, { cwd: directory })).toContain('Trusted comment: fjmcp-broker 1.2.3');
    writeFileSync(file, 'digestz');
    await expect(run(verify, { cwd: directory })).rejects.toThrow();
  });

  it('is told in a sentence when there is no such key', async () => {
    const missing = sign(join(directory, 'SHA256SUMS'), join(directory, 'none'), '');
    await expect(missing).rejects.toThrow('minisign');
  });
});
