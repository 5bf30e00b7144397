import { systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/secret.ts';
import { type RunningBroker, StartFailure, SuccessorGone, startBroker } from '../broker.ts';
import { succeedBroker } from '../succession.ts';
import { createServiceManager, type ServiceManager } from '../systemd/service-manager.ts';
import { announce } from './announce.ts';
import { type Command, EXIT } from './command.ts';
import { loadMachineConfig } from './load-config.ts';
import { createStarter, readInheritance } from './successor.ts';

/** What a step of a migration may take at most; a large store is read and written whole. */
const MIGRATION_MS = 10 * 60_000;

/** Serves until SIGTERM or SIGINT. */
export const serve: Command = async (context) => {
  const readConfig = () => loadMachineConfig(context);
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
  context.onHangUp(() => {
    started.promise
      .then((broker) => broker.reload())
      // A full disk must not end a broker that only was to read its settings.
      .catch((err: unknown) => log.error('config.failed', { err }));
  });
  const manager = createServiceManager({ env: context.env, pid: process.pid, log });
  try {
    const inheritance = await readInheritance(context);
    const parts = {
      ...{ log, clock: systemClock, random: systemRandom, pid: process.pid },
      onMigration: () => {
        // A successor is not yet the process that the manager listens to.
        if (inheritance === undefined) manager.extendTimeout(MIGRATION_MS);
      },
      starter: createStarter(context, manager),
      readConfig,
    };
    const broker =
      inheritance === undefined
        ? await startBroker(config, parts)
        : await succeedBroker(config, parts, inheritance);
    started.resolve(broker);
    if (manager.present) {
      const ended = Promise.race([context.stopAsked, broker.succeeded]);
      void announce({ broker, manager, clock: systemClock, log }, ended);
    }
    const signal = await Promise.race([context.stopAsked, leftOf(broker, manager)]);
    if (signal !== undefined) {
      manager.stopping();
      log.info('process.stopping', { signal });
    }
    await broker.stop();
    log.info('process.stopped');
    return EXIT.stopped;
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    log.error('process.not_started', { reason: error.message });
    return EXIT.failed;
  }
};

/**
 * When the broker has left. systemd hears of the end of a process from its parent, and for a
 * successor that is this one: would it end too, the unit would look as if it had been stopped. So it
 * stays, until the missing signs of life have the unit started again.
 */
async function leftOf(broker: RunningBroker, manager: ServiceManager): Promise<undefined> {
  try {
    await broker.left;
    return undefined;
  } catch (error) {
    if (!(error instanceof SuccessorGone) || manager.watchdogMs === undefined) throw error;
    return new Promise(() => undefined);
  }
}
