import { readFileSync } from 'node:fs';
import { ReleaseFailure } from './failure.ts';

/**
 * The installer as a release has it: it knows its version, where its files are, and the key that
 * their checksums are signed with, as far as that is known.
 */
export function stampedInstaller(
  file: string,
  facts: {
    readonly version: string;
    readonly baseUrl: string | undefined;
    readonly minisignPublicKey: string | undefined;
  },
): string {
  return [
    ['RELEASE_VERSION', facts.version],
    ['RELEASE_BASE_URL', facts.baseUrl ?? ''],
    ['RELEASE_MINISIGN_KEY', facts.minisignPublicKey ?? ''],
  ].reduce(
    (text, [name = '', value = '']) => {
      // It becomes a word between quotes of a script that runs as root.
      if (!/^[A-Za-z0-9:/._~%{}+=-]*$/.test(value)) {
        throw new ReleaseFailure(`${name} cannot be written into the installer: ${value}`);
      }
      const line = `${name}=''\n`;
      if (!text.includes(line)) throw new ReleaseFailure(`${file} has no line ${name}=''`);
      return text.replace(line, `${name}='${value}'\n`);
    },
    readFileSync(file, 'utf8'),
  );
}
