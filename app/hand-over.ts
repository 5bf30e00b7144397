import type { Clock } from './base/clock.ts';
import type { Log } from './base/log.ts';
import { err, ok, type Result } from './base/result.ts';
import type {
  ControlFault,
  HandedOver,
  HandOverAnswer,
  HandOverQuestion,
} from './control/protocol.ts';
import type { Duties } from './duties.ts';
import type { StartedSuccessor, SuccessorStarter } from './running-broker.ts';

/** From the start of a successor until it has taken over; systemd waits 90 s for a reload. */
const TAKE_OVER_MS = 60_000;

/** From the moment when nobody has the duties until the successor says that it has them. */
const RELEASED_MS = 10_000;

export interface HandOverParts {
  /** Undefined: this process cannot start another broker. */
  readonly starter: SuccessorStarter | undefined;
  /** A sentence about why this broker can have no successor, if it cannot. */
  readonly refusal: string | undefined;
  readonly duties: Pick<Duties, 'begin' | 'release'>;
  /** Whether the sockets have their public names. */
  readonly isPublic: () => boolean;
  /** Its sockets' names are taken by a process that is gone: another broker has to be started. */
  readonly onLost: () => void;
  readonly storePath: string;
  /** All store keys, the current one last: what systemd gives as a credential may be older. */
  readonly storeKeys: () => readonly Uint8Array[];
  readonly clock: Clock;
  readonly log: Log;
}

/** How a broker gives everything to its successor, which it starts itself. */
export interface HandOver {
  /**
   * Starts a successor and resolves when it has taken over. A failure is sentences: the successor is
   * gone, and this broker goes on. Not to be called while one runs.
   */
  begin(): Promise<Result<HandedOver, readonly string[]>>;
  /** What the successor asks. */
  step(question: HandOverQuestion): Promise<Result<HandOverAnswer, ControlFault>>;
  /** Whether another broker has taken over. */
  readonly done: boolean;
  /** The stop of this broker is none of a successor that has not taken over: that one ends. */
  cancel(): void;
}

type Settle = (outcome: Result<HandedOver, string>) => void;

type State =
  | { readonly kind: 'idle' }
  /** The successor prepares itself. */
  | { readonly kind: 'starting'; readonly successor: StartedSuccessor; readonly settle: Settle }
  /** Nobody has the duties. */
  | { readonly kind: 'released'; readonly successor: StartedSuccessor; readonly settle: Settle }
  | { readonly kind: 'done' };

export function createHandOver(parts: HandOverParts): HandOver {
  const { starter, duties, clock, log } = parts;
  let state: State = { kind: 'idle' };
  const current = (): State => state;

  const release = async (
    question: Extract<HandOverQuestion, { readonly step: 'release' }>,
  ): Promise<Result<HandOverAnswer, ControlFault>> => {
    const before = state;
    if (before.kind !== 'starting' || before.successor.pid !== question.pid) return NOT_ASKED;
    if (question.storePath !== parts.storePath) {
      const message = `The broker that runs keeps its store at ${parts.storePath}.`;
      return err({ kind: 'refused', message });
    }
    if (!(await duties.release())) {
      const message = 'A token call to Forgejo has not ended in time. Try again.';
      return err({ kind: 'busy', message });
    }
    // It may have been given up meanwhile.
    if (state !== before) {
      duties.begin();
      return NOT_ASKED;
    }
    const { successor, settle } = before;
    state = { kind: 'released', successor, settle };
    log.info('handover.released', { pid: successor.pid, version: question.programVersion });
    clock.after(RELEASED_MS, () => settle(err('it did not take over in time')));
    return ok({ kind: 'released' });
  };

  const finish = ({
    pid,
    programVersion,
  }: HandOverQuestion): Result<HandOverAnswer, ControlFault> => {
    if (state.kind !== 'released' || state.successor.pid !== pid) return NOT_ASKED;
    const { settle } = state;
    state = { kind: 'done' };
    starter?.handedOver(pid);
    log.info('handover.done', { pid, version: programVersion });
    settle(ok({ kind: 'handed_over', pid, programVersion }));
    return ok({ kind: 'handed_over', pid, programVersion });
  };

  /** Waits for what becomes of a successor. */
  const watch = async (
    successor: StartedSuccessor,
  ): Promise<Result<HandedOver, readonly string[]>> => {
    const { promise, resolve: settle } = Promise.withResolvers<Result<HandedOver, string>>();
    state = { kind: 'starting', successor, settle };
    log.info('handover.started', { pid: successor.pid });
    const cancel = clock.after(TAKE_OVER_MS, () => settle(err('it was not ready in time')));
    void successor.exited.then((how) => settle(err(`it ended with ${how}`)));
    const outcome = await promise;
    cancel();
    if (outcome.ok) return outcome;
    const wasReleased = current().kind === 'released';
    state = { kind: 'idle' };
    successor.kill();
    await successor.exited;
    if (wasReleased) {
      // It died between taking our sockets' names and saying so: nobody reaches this broker.
      if (!parts.isPublic()) parts.onLost();
      duties.begin();
    }
    log.error('handover.failed', { pid: successor.pid, reason: outcome.error });
    return err([`The new program did not take over: ${outcome.error}. Its log says more.`]);
  };

  return {
    get done() {
      return state.kind === 'done';
    },
    cancel() {
      if (state.kind === 'starting' || state.kind === 'released') state.successor.kill();
    },
    step: async (question) => (question.step === 'release' ? release(question) : finish(question)),
    async begin() {
      if (starter === undefined) return err(['This broker cannot start another one.']);
      if (parts.refusal !== undefined) return err([parts.refusal]);
      const successor = attempt(() => starter.start(parts.storeKeys()));
      if (!successor.ok) {
        log.error('handover.failed', { reason: successor.error });
        return err([`The new program cannot be started (${successor.error}).`]);
      }
      return await watch(successor.value);
    },
  };
}

/** What the system says when a program cannot be started. */
function attempt<T>(start: () => T): Result<T, string> {
  try {
    return ok(start());
  } catch (error) {
    return err(error instanceof Error && 'code' in error ? String(error.code) : String(error));
  }
}

const NOT_ASKED = err({
  kind: 'refused',
  message: 'This broker has not asked for that successor.',
} as const);
