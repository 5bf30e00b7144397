import { run } from './run.ts';

/**
 * Signs `file` with minisign's key at `keyPath`, beside it as `FILE.minisig`; the comment is signed
 * with it. The password of a key that has one is asked for on the terminal.
 */
export async function sign(file: string, keyPath: string, comment: string): Promise<void> {
  await run(['minisign', '-S', '-s', keyPath, '-m', file, '-t', comment], {
    cwd: '/',
    stdin: 'inherit',
  });
}
