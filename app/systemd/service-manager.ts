import type { Log } from '../base/log.ts';
import { openNotifySocket, type SendDatagram } from './notify-socket.ts';

/** What is told to the service manager (sd_notify(3)); nothing happens where there is none. */
export interface ServiceManager {
  /** Whether there is one that wants to be told. */
  readonly present: boolean;
  /** The start is done. */
  ready(status: string): void;
  /** The line that `systemctl status` shows. */
  status(text: string): void;
  /** The stop has begun. */
  stopping(): void;
  /** A start or stop may take so long from now on. */
  extendTimeout(ms: number): void;
  /** Another process of the service is the one that counts from now on. */
  mainProcess(pid: number): void;
  /** A sign of life. */
  alive(): void;
  /** Without a sign of life for so long the manager kills the process; undefined: it does not look. */
  readonly watchdogMs: number | undefined;
}

export interface ServiceManagerOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly log: Log;
  readonly open?: (address: string) => SendDatagram;
}

/** The variable that names the one process whose signs of life systemd waits for. */
export const WATCHDOG_PID = 'WATCHDOG_PID';

/**
 * The manager that started this process, as its environment names it. A manager that cannot be
 * reached is logged and left alone: people's sessions do not depend on it.
 */
export function createServiceManager(options: ServiceManagerOptions): ServiceManager {
  const send = sender(options);
  return {
    present: (options.env.NOTIFY_SOCKET ?? '') !== '',
    ready: (status) => send(`READY=1\nSTATUS=${oneLine(status)}`),
    status: (text) => send(`STATUS=${oneLine(text)}`),
    stopping: () => send('STOPPING=1\nSTATUS=Stopping.'),
    extendTimeout: (ms) => send(`EXTEND_TIMEOUT_USEC=${ms * 1000}`),
    mainProcess: (pid) => send(`MAINPID=${pid}`),
    alive: () => send('WATCHDOG=1'),
    watchdogMs: watchdogMs(options),
  };
}

function sender({ env, log, open = openNotifySocket }: ServiceManagerOptions): SendDatagram {
  const address = env.NOTIFY_SOCKET ?? '';
  if (address === '') return () => undefined;
  const failed = (err: unknown) => log.warn('service_manager.unreachable', { err });
  try {
    const send = open(address);
    return (text) => {
      try {
        send(text);
      } catch (error) {
        failed(error);
      }
    };
  } catch (error) {
    failed(error);
    return () => undefined;
  }
}

/** WATCHDOG_USEC counts for WATCHDOG_PID alone, and for everyone where that is not set. */
function watchdogMs({ env, pid }: ServiceManagerOptions): number | undefined {
  const named = env[WATCHDOG_PID] ?? '';
  if (named !== '' && named !== String(pid)) return undefined;
  const usec = Number(env.WATCHDOG_USEC ?? '');
  return Number.isSafeInteger(usec) && usec > 0 ? usec / 1000 : undefined;
}

/** A line feed would begin another assignment. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}
