import type { Clock } from '../base/clock.ts';

/** What a probe found; `not_ready` carries a sentence that may be read by anyone. */
export interface ReadinessCheck {
  readonly name: 'store' | 'forge' | 'children' | 'stopping';
  /** How long an answer is used again, in milliseconds; 0 asks each time. */
  readonly cachedMs: number;
  /** Undefined when all is well, else what is wrong. It must end by itself. */
  readonly probe: () => Promise<string | undefined>;
}

export interface Reason {
  readonly check: ReadinessCheck['name'];
  readonly reason: string;
}

/**
 * Asks every check and gives what is wrong. Anyone may ask for readiness, so each probe runs once at
 * a time and its answer is kept: a crowd costs one write and one call to Forgejo.
 */
export function createReadiness(
  checks: readonly ReadinessCheck[],
  clock: Clock,
): () => Promise<readonly Reason[]> {
  const cached = checks.map((check) => ({ name: check.name, ask: oncePer(check, clock) }));
  return async () => {
    const answers = await Promise.all(
      cached.map(async ({ name, ask }) => ({ check: name, reason: await ask() })),
    );
    return answers.flatMap(({ check, reason }) =>
      reason === undefined ? [] : [{ check, reason }],
    );
  };
}

function oncePer(check: ReadinessCheck, clock: Clock): () => Promise<string | undefined> {
  let answer: { readonly value: Promise<string | undefined>; expiresAt: number } | undefined;
  return () => {
    if (answer !== undefined && clock.now() < answer.expiresAt) return answer.value;
    // A probe that throws says nothing about why: its message may hold what nobody should read.
    const value = check.probe().catch(() => 'the check itself failed');
    const mine = { value, expiresAt: Number.POSITIVE_INFINITY };
    answer = mine;
    void value.then(() => {
      mine.expiresAt = clock.now() + check.cachedMs;
    });
    return value;
  };
}
