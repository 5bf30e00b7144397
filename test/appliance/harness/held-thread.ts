import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const HOLD = fileURLToPath(new URL('../fixture/hold-thread.ts', import.meta.url));

/** What each thread of a process does, by its id: a letter of proc(5). */
export type ThreadStates = Readonly<Record<string, string>>;

/**
 * Holds the main thread of a process, where the event loop turns, until the process ends; all others
 * go on, as they would beside a loop that is busy for ever. Tells what each does then.
 */
export async function holdMainThread(pid: number): Promise<ThreadStates> {
  const holder = Bun.spawn([process.execPath, HOLD, String(pid)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { value, done } = await holder.stdout.getReader().read();
  if (done || Buffer.from(value).toString() !== 'held\n') throw new Error('nothing is held');
  const stateOf = (thread: string) =>
    readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').replace(/^.*\) (.).*$/s, '$1');
  return Object.fromEntries(
    readdirSync(`/proc/${pid}/task`).map((thread) => [thread, stateOf(thread)]),
  );
}
