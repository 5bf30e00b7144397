/**
 * How fast, and at what cost in memory, calls pass through a bridge between HTTP and stdio. `USAGE`
 * tells how to run it.
 *
 * Measured is a closed loop: every session calls the tool `noop` of the same light native child and
 * sends the next call when the last was answered. Contenders are the pipe alone (no HTTP, the upper
 * bound), a bare bridge in the same runtime (HTTP in front of the pipe, nothing else), supergateway
 * from the registry (stateful, loopback, no authorization) and this broker with OAuth. They take turns
 * within each round, each started afresh, so that what else the machine does hits all alike; each
 * figure is the median of the rounds. Compare ratios, not figures of two machines.
 *
 * `--busy N` keeps N calls in flight over all sessions instead of one in each: what is open must cost
 * nothing, what waits may.
 *
 * `--token-rows N` puts N access tokens of other connections into the broker's store first: the cost
 * of a call must not depend on how many there are.
 *
 * `--against DIR` also measures the broker of another checkout, as `before`: what a change costs.
 *
 * `--flood` measures something else: what other people notice when one address floods the broker with
 * registrations, sign-ins or bad tokens. It fails when the p99 of their calls grows by more than half.
 *
 * The load client is a process of its own with one raw connection per session; it checks id and
 * content of every answer, and the run fails (exit 1) if one is wrong. `client CPU` near 100 % says
 * that the client was the limit. Memory is the resident set of the bridge's process alone, before
 * the first session, with all sessions open, and at the end of the load; `CPU us/call` is its CPU
 * time.
 */
import { cpus, release, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { lightChild } from '../support/light-child.ts';
import { toolFlags } from '../support/tool-flags.ts';
import { startBare } from './bare.ts';
import { brokerWith } from './broker.ts';
import { floodTable, measureFloods, worstRatio } from './floods.ts';
import { summarize, table } from './summary.ts';
import { startSupergateway, supergatewayRuntime } from './supergateway.ts';
import { type Contender, type Turn, takeTurn } from './turn.ts';

const USAGE = `usage: bun run bench [--seconds 3] [--warmup 1] [--rounds 3] [--sessions 1,20,100]
                     [--only pipe,bare,supergateway,broker] [--busy N] [--against DIR]
                     [--token-rows 0] [--rate-limits LIMITS] [--json FILE]
       bun run bench --flood [--seconds 3] [--rounds 3] [--sessions 20] [--pause 0]
                     [--connections 32] [--rate-limits LIMITS] [--json FILE]
`;

const {
  values: flags,
  positive,
  whole,
  refuse,
} = toolFlags(USAGE, {
  seconds: { type: 'string', default: '3' },
  warmup: { type: 'string', default: '1' },
  rounds: { type: 'string', default: '3' },
  sessions: { type: 'string', default: '1,20,100' },
  only: { type: 'string', default: 'pipe,bare,supergateway,broker' },
  busy: { type: 'string' },
  'token-rows': { type: 'string', default: '0' },
  against: { type: 'string' },
  json: { type: 'string' },
  flood: { type: 'boolean', default: false },
  pause: { type: 'string', default: '0' },
  connections: { type: 'string', default: '32' },
  'rate-limits': { type: 'string' },
});

const tokenRows = whole('--token-rows', flags['token-rows']);
/** What other people may notice of a flood: their p99 against the p99 before it. */
const FLOOD_RATIO_MAX = 1.5;

const child = lightChild();
if (flags.flood) process.exit(await floodBench());
const contenders: Contender[] = [
  { kind: 'pipe', name: 'pipe' },
  { kind: 'bridge', name: 'bare', start: startBare },
  { kind: 'bridge', name: 'supergateway', start: startSupergateway },
  {
    kind: 'bridge',
    name: 'broker',
    start: brokerWith({ tokenRows, rateLimits: flags['rate-limits'] }),
  },
];
const only = flags.only.split(',');
for (const name of only) {
  if (!contenders.some((one) => one.name === name)) {
    refuse(`--only: there is no "${name}" to be measured`);
  }
}
const chosen = contenders.filter(({ name }) => only.includes(name));
if (flags.against !== undefined) {
  const main = resolve(flags.against, 'app/main.ts');
  chosen.push({ kind: 'bridge', name: 'before', start: brokerWith({ tokenRows, main }) });
}

const turns: Turn[] = [];
for (const sessions of flags.sessions.split(',').map((text) => positive('--sessions', text))) {
  for (let round = 1; round <= positive('--rounds', flags.rounds); round += 1) {
    for (const contender of chosen) {
      process.stderr.write(`${sessions} sessions, round ${round}: ${contender.name}\n`);
      turns.push(
        await takeTurn(contender, {
          childCommand: child.command,
          sessions,
          busy: Math.min(sessions, positive('--busy', flags.busy ?? String(sessions))),
          seconds: positive('--seconds', flags.seconds),
          warmupSeconds: positive('--warmup', flags.warmup),
        }),
      );
    }
  }
}

const rows = summarize(turns);
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryMb: Math.round(totalmem() / 1024 / 1024),
  kernel: release(),
  bun: Bun.version,
  supergatewayRuntime,
  child: child.kind,
};
console.log(table(rows));
console.log(
  `${machine.cores} cores (${machine.cpu}), Linux ${machine.kernel}, Bun ${machine.bun}, ` +
    `supergateway on ${machine.supergatewayRuntime}, light child in ${machine.child}`,
);
if (flags.json !== undefined) {
  await Bun.write(flags.json, `${JSON.stringify({ machine, flags, rows, turns }, null, 2)}\n`);
}
const wrong = turns.find((turn) => turn.wrong > 0);
if (wrong !== undefined) {
  console.log(`${wrong.name} gave wrong answers, the first one: ${wrong.firstWrong}`);
  process.exit(1);
}

/** Limits as an administrator has them, but for the calls of those who are measured. */
async function floodBench(): Promise<number> {
  const rows = await measureFloods({
    childCommand: child.command,
    sessions: positive('--sessions', flags.sessions.split(',').at(-1) ?? ''),
    seconds: positive('--seconds', flags.seconds),
    warmupSeconds: positive('--warmup', flags.warmup),
    rounds: positive('--rounds', flags.rounds),
    pauseMs: whole('--pause', flags.pause),
    connections: positive('--connections', flags.connections),
    rateLimits: flags['rate-limits'] ?? 'account_mcp=1000000000/1h',
  });
  console.log(floodTable(rows));
  if (flags.json !== undefined) await Bun.write(flags.json, `${JSON.stringify(rows, null, 2)}\n`);
  const wrong = rows.some(({ before, during }) => before.wrong + during.wrong > 0);
  if (wrong) console.log('somebody got a wrong answer');
  return wrong || worstRatio(rows) > FLOOD_RATIO_MAX ? 1 : 0;
}
