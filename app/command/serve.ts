import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/secret.ts';
import { type RunningBroker, StartFailure, startBroker } from '../broker.ts';
import { readConfigFile } from '../config/read-file.ts';
import { loadConfig } from '../config.ts';
import { createServiceManager } from '../systemd/service-manager.ts';
import { announce } from './announce.ts';
import { type Command, EXIT } from './command.ts';

/** What a step of a migration may take at most; a large store is read and written whole. */
const MIGRATION_MS = 10 * 60_000;

/** Serves until SIGTERM or SIGINT. */
export const serve: Command = async (context) => {
  const readConfig = () =>
    loadConfig({
      argv: context.argv,
      env: context.env,
      readFile: readConfigFile,
      which: (program) => Bun.which(program, { PATH: context.env.PATH ?? '' }),
      resolvePath: resolve,
    });
  const loaded = readConfig();
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
  const started = Promise.withResolvers<RunningBroker>();
  // Its default would end the process, also one that only begins.
  context.onHangUp(() => void started.promise.then((broker) => broker.reload()));
  const manager = createServiceManager({ env: context.env, pid: process.pid, log });
  try {
    const broker = await startBroker(config, {
      ...{ log, clock: systemClock, random: systemRandom },
      onMigration: () => manager.extendTimeout(MIGRATION_MS),
      readConfig,
    });
    started.resolve(broker);
    if (manager.present) {
      void announce({ broker, manager, clock: systemClock, log }, context.stopAsked);
    }
    const signal = await context.stopAsked;
    manager.stopping();
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
