import type { OpenFailure } from './open-failure.ts';
import { openFailureOf, type SessionEnd } from './session-end.ts';

type State =
  | { readonly kind: 'opening' }
  | { readonly kind: 'ready' }
  /** No new calls; those under way may still be answered. */
  | { readonly kind: 'draining' }
  | { readonly kind: 'ended'; readonly why: SessionEnd; readonly gone: Promise<void> };

/** How far a session has come: each step is taken once, and none is taken back. */
export class Life {
  #state: State;

  constructor(begun: 'opening' | 'ready') {
    this.#state = { kind: begun };
  }

  /** Whether it takes calls. */
  get ready(): boolean {
    return this.#state.kind === 'ready';
  }

  /** Why it takes none; undefined while it does. */
  get closedBy(): SessionEnd | undefined {
    if (this.#state.kind === 'ready') return undefined;
    return this.#state.kind === 'ended' ? this.#state.why : 'stopping';
  }

  get hasEnded(): boolean {
    return this.#state.kind === 'ended';
  }

  /** Whether a request may find the session: opened, and not ended but with the broker. */
  get usable(): boolean {
    if (this.#state.kind === 'ended') return this.#state.why === 'stopping';
    return this.#state.kind !== 'opening';
  }

  /** Opened, unless somebody has ended or drained it meanwhile. */
  opened(): void {
    if (this.#state.kind === 'opening') this.#state = { kind: 'ready' };
  }

  /** It takes no more calls; false when it took none before. */
  drain(): boolean {
    if (this.#state.kind !== 'ready') return false;
    this.#state = { kind: 'draining' };
    return true;
  }

  /**
   * Ends it, whatever it does, and resolves when `tearDown` has: that is called once, and the first
   * reason is kept.
   */
  end(why: SessionEnd, tearDown: () => Promise<void>): Promise<void> {
    if (this.#state.kind === 'ended') return this.#state.gone;
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    // Before anything is torn down: who asks meanwhile is to find it ended.
    this.#state = { kind: 'ended', why, gone };
    void tearDown().then(resolve);
    return gone;
  }

  /** What somebody has ended it with, once it is gone; undefined while it lives. */
  async ended(): Promise<OpenFailure | undefined> {
    if (this.#state.kind !== 'ended') return undefined;
    await this.#state.gone;
    return openFailureOf(this.#state.why);
  }
}
