import { resolve } from 'node:path';
import { readConfigFile } from '../config/read-file.ts';
import { type ConfigOutcome, loadConfig } from '../config.ts';
import { catalogueFaults } from '../tools/catalogue.ts';
import type { CommandContext } from './command.ts';

/** Reads all settings from these flags, this environment and the files of this machine. */
export function loadMachineConfig({
  argv,
  env,
}: Pick<CommandContext, 'argv' | 'env'>): ConfigOutcome {
  return loadConfig({
    ...{ argv, env },
    readFile: readConfigFile,
    which: (program) => Bun.which(program, { PATH: env.PATH ?? '' }),
    resolvePath: resolve,
    toolsFaults: catalogueFaults,
  });
}
