import type { StartTarget } from './target.ts';

/**
 * Starts this broker as a process of its own, with OAuth on, `childCommand` behind it and a bearer
 * for each session. Undefined leaves it out of the bench.
 */
export const startBroker: StartTarget | undefined = undefined;
