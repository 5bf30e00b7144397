import { join } from 'node:path';
import { type BrokerProcess, type Launch, type Stage, setStage } from './broker-process.ts';
import { listenNotify, type NotifySocket } from './notify-socket.ts';
import { ownCommand } from './own-command.ts';
import { isAlive } from './processes.ts';
import { SocketProxy } from './socket-proxy.ts';

/** A broker on a unix socket, a proxy before it, and a service manager that listens. */
export interface HandOverStage {
  readonly stage: Stage;
  /** The first broker; what its successors write comes over its pipes too. */
  readonly broker: BrokerProcess;
  readonly proxy: SocketProxy;
  readonly notify: NotifySocket;
  readonly socketPath: string;
  /** Runs `fjmcp-broker reload`. */
  reload(...words: string[]): ReturnType<typeof ownCommand>;
  /** The processes of successors so far, in their order. */
  readonly successors: readonly number[];
  /** The process of the successor of that number, once the log names it. */
  successor(number: number): Promise<number>;
  end(): Promise<void>;
}

/** Starts it and waits until it is ready. */
export async function setHandOverStage(
  childCommand: readonly string[],
  launch: (stage: Stage) => Launch = () => ({}),
): Promise<HandOverStage> {
  const stage = await setStage({ childCommand });
  const { hostname, port } = new URL(stage.origin);
  const socketPath = join(stage.directory, 'edge', 'http.sock');
  const notifyPath = join(stage.directory, 'notify.sock');
  const proxy = new SocketProxy({ hostname, port: Number(port) }, socketPath);
  const notify = listenNotify(notifyPath);
  const { settings: own, wrapper = [], ...more } = launch(stage);
  const settings = { LISTEN: `unix:${socketPath}`, ...own };
  const broker = stage.spawn({
    ...more,
    settings,
    wrapper: ['/usr/bin/env', `NOTIFY_SOCKET=${notifyPath}`, ...wrapper],
  });
  const isReady = await Promise.race([
    notify.until('READY=1').then(() => true),
    broker.exited.then(() => false),
  ]);
  if (!isReady) throw new Error(`the broker has ended:\n${broker.output}`);
  const successors = () => broker.log('handover.started').map(({ pid }) => Number(pid));
  return {
    ...{ stage, broker, proxy, notify, socketPath },
    reload: (...words) =>
      ownCommand('reload', '--control-socket', `${stage.storePath}.control`, ...words),
    get successors() {
      return successors();
    },
    async successor(number) {
      return Number((await broker.logged('handover.started', number))[number - 1]?.pid);
    },
    async end() {
      // They hold the pipes that the end of the stage waits for.
      for (const pid of successors()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
      await proxy.close();
      notify.close();
      await stage.end();
    },
  };
}
