/**
 * Sessions under everything that happens to them in months, in minutes.
 *
 * A broker as a process of its own, a Forgejo whose tokens live for two minutes and rotate, and
 * people whose clients call tools, wait, hang up and come back, walk away and rest, while children
 * die in the middle of a call or between two, and the broker is killed and stopped in the first half
 * of the run. Every tool writes down what it executes.
 *
 * Exits with 1 when descriptors, zombies or children differ at the end from the start, when memory
 * grew by more than 10 % after the first minute (or, when the broker was started again later, after
 * half a minute of its life; garbage is collected before each measurement), when a call was executed
 * twice, or when an error came that nobody has injected.
 */
import { toolFlags } from '../support/tool-flags.ts';
import { runSoak } from './run.ts';

const USAGE = `usage: bun run soak [--minutes 10] [--sessions 20] [--seed N]
`;

const {
  values: flags,
  positive,
  whole,
} = toolFlags(USAGE, {
  minutes: { type: 'string', default: '10' },
  sessions: { type: 'string', default: '20' },
  seed: { type: 'string', default: String(Date.now() % 1_000_000) },
});

const faults = await runSoak({
  minutes: positive('--minutes', flags.minutes),
  sessions: Math.ceil(positive('--sessions', flags.sessions)),
  seed: whole('--seed', flags.seed),
  print: (line) => console.log(line),
});
for (const fault of faults) console.log(`WRONG  ${fault}`);
if (faults.length === 0) console.log('green: nothing was lost, nothing ran twice, nothing is left');
process.exit(faults.length === 0 ? 0 : 1);
