import { describe, expect, it } from 'bun:test';
import { fileURLToPath } from 'node:url';
import { ReleaseFailure } from '../../release/failure.ts';
import { stampedInstaller } from '../../release/installer.ts';

const FILE = fileURLToPath(new URL('../../install.sh', import.meta.url));
const facts = { version: '1.2.3', baseUrl: undefined, minisignPublicKey: undefined };

describe('the installer of a release', () => {
  it('knows its version, where its files are and the key of their signature', () => {
    const text = stampedInstaller(FILE, {
      version: '1.2.3',
      baseUrl: 'https://get.example.org/v{version}',
      minisignPublicKey: 'RWQabc+/=',
    });
    expect(text).toContain("\nRELEASE_VERSION='1.2.3'\n");
    expect(text).toContain("\nRELEASE_BASE_URL='https://get.example.org/v{version}'\n");
    expect(text).toContain("\nRELEASE_MINISIGN_KEY='RWQabc+/='\n");
  });

  it('takes no word that would end the quotes of its script', () => {
    for (const baseUrl of ["https://x'; reboot; '", 'https://x\ny', 'https://$(reboot)']) {
      expect(() => stampedInstaller(FILE, { ...facts, baseUrl })).toThrow(ReleaseFailure);
    }
  });

  it('is otherwise what the sources have', async () => {
    const text = stampedInstaller(FILE, facts);
    expect(text.replace("RELEASE_VERSION='1.2.3'", "RELEASE_VERSION=''")).toBe(
      await Bun.file(FILE).text(),
    );
  });
});
