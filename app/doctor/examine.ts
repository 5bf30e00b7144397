import { type Clock, within } from '../base/clock.ts';
import { type Finding, type Found, fault } from './finding.ts';

/** One thing to look at. Its own calls end by themselves; this is the last wall. */
export const CHECK_MS_MAX = 60_000;

export interface Check {
  readonly name: string;
  readonly run: () => Promise<readonly Found[]>;
}

/** Looks at everything at once and gives the findings in the order of the checks. */
export async function examine(checks: readonly Check[], clock: Clock): Promise<readonly Finding[]> {
  const found = await Promise.all(checks.map((check) => look(check, clock)));
  return found.flat();
}

async function look({ name, run }: Check, clock: Clock): Promise<readonly Finding[]> {
  let found: readonly Found[] = [
    fault('It took more than a minute to look.', 'Run doctor again when the machine is less busy.'),
  ];
  const done = (async () => {
    found = await run();
  })().catch((error: unknown) => {
    // Only its name: a message may repeat what was sent.
    const reason = error instanceof Error ? error.name : 'something that is no error';
    found = [fault(`The look itself failed (${reason}).`, 'Please report it.')];
  });
  await within(clock, CHECK_MS_MAX, done);
  return found.map((one) => ({ check: name, ...one }));
}
