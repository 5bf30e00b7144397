import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/secret.ts';
import { StartFailure, startBroker } from '../broker.ts';
import { readConfigFile } from '../config/read-file.ts';
import { loadConfig } from '../config.ts';
import { catalogueFaults } from '../tools/catalogue.ts';
import { type Command, EXIT } from './command.ts';

/** Serves until SIGTERM or SIGINT. */
export const serve: Command = async (context) => {
  const loaded = loadConfig({
    argv: context.argv,
    env: context.env,
    readFile: readConfigFile,
    which: (program) => Bun.which(program, { PATH: context.env.PATH ?? '' }),
    resolvePath: resolve,
    toolsFaults: catalogueFaults,
  });
  if (!loaded.ok) {
    for (const fault of loaded.error) context.printError(`fjmcp-broker: ${fault}\n`);
    for (const warning of loaded.warnings) {
      context.printError(`fjmcp-broker: warning: ${warning}\n`);
    }
    return EXIT.badConfiguration;
  }
  const { warnings, ...config } = loaded.value;
  const log = createLog({ level: config.logLevel, format: config.logFormat });
  context.useLog(log);
  for (const warning of warnings) log.warn('config.warning', { warning });
  try {
    const broker = await startBroker(config, { log, clock: systemClock, random: systemRandom });
    const signal = await context.stopAsked;
    log.info('process.stopping', { signal });
    await broker.stop();
    log.info('process.stopped');
    return EXIT.stopped;
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    log.error('process.not_started', { reason: error.message });
    return EXIT.failed;
  }
};
