import { describe, expect, it } from 'bun:test';
import { gitRevision, UNKNOWN_REVISION, VERSION } from '../../app/base/version.ts';
import packageJson from '../../package.json';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const revisionOf = (files: Readonly<Record<string, string>>) => gitRevision((path) => files[path]);

describe('version', () => {
  it('is that of the package', () => {
    expect(VERSION).toBe(packageJson.version);
  });

  it.each([
    ['no repository', {}],
    ['a branch without a commit', { HEAD: 'ref: refs/heads/main\n' }],
    ['a path out of the repository', { HEAD: 'ref: ../../etc/passwd', '../../etc/passwd': COMMIT }],
    ['a text that is no commit', { HEAD: 'canary' }],
    ['a short commit', { HEAD: COMMIT.slice(1) }],
  ])('says "unknown" for %s', (_, files) => {
    expect(revisionOf(files)).toBe(UNKNOWN_REVISION);
  });

  it.each([
    ['a detached head', { HEAD: `${COMMIT}\n` }],
    ['a branch', { HEAD: 'ref: refs/heads/main\n', 'refs/heads/main': `${COMMIT}\n` }],
    [
      'a packed branch',
      {
        HEAD: 'ref: refs/heads/main\n',
        'packed-refs': `# pack-refs\n${'f'.repeat(40)} refs/heads/main2\n${COMMIT} refs/heads/main\n`,
      },
    ],
  ])('names the commit of %s', (_, files) => {
    expect(revisionOf(files)).toBe(COMMIT);
  });
});
