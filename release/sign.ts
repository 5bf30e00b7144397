import { run } from './run.ts';

/**
 * Signs `file` with minisign's key at `keyPath`, beside it as `FILE.minisig`. A key with a password
 * is asked for it on the terminal.
 */
export async function sign(file: string, keyPath: string): Promise<void> {
  const comment = ['-c', 'signature of a release of fjmcp-broker'];
  await run(['minisign', '-S', '-s', keyPath, '-m', file, ...comment], {
    cwd: '/',
    stdin: 'inherit',
  });
}
