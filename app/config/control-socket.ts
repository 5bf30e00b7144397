import { err, ok, type Result } from '../base/result.ts';
import { type ConfigInput, controlSocketOf } from '../config.ts';
import { SETTINGS } from './settings.ts';
import { readSomeSettings } from './some-settings.ts';
import { spellings } from './sources.ts';

/** Where the broker listens for commands, or sentences about why it is not known. */
export function findControlSocket(
  input: Pick<ConfigInput, 'argv' | 'env' | 'readFile' | 'resolvePath'>,
): Result<string, readonly string[]> {
  const read = readSomeSettings(input, ['controlSocketPath', 'storePath']);
  if (!read.ok) return read;
  const path = controlSocketOf(read.value, input.resolvePath);
  if (path !== undefined) return ok(path);
  const { controlSocketPath, storePath } = SETTINGS;
  return err([
    `${spellings(controlSocketPath.name)}: is missing, and so is ${spellings(storePath.name)}. ` +
      'One of them says where the broker can be asked.',
  ]);
}
