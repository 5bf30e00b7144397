import type { Log } from '../base/log.ts';
import {
  errorText,
  type Message,
  type RequestMessage,
  RPC_ERROR,
  resultText,
} from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { err, ok, type Result } from '../base/result.ts';
import { CallGroup, type PostedCalls, type Settled } from './call-group.ts';
import type { Answer } from './calls.ts';
import type { KeptRow } from './kept-row.ts';
import type { Link, Links } from './links.ts';
import { permissionChanges } from './list-changes.ts';
import type { CallRules } from './owned-session.ts';
import { looksRefused } from './refused-token.ts';
import { Remembered } from './remembered.ts';
import { endSentence, type SessionEnd, settledBy } from './session-end.ts';
import type { Streams } from './streams.ts';
import type { Uses } from './uses.ts';

export interface ConversationParts {
  readonly links: Links;
  readonly row: KeptRow;
  readonly streams: Streams;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly requestTimeoutMs: number;
  readonly requestTimeoutTotalMs: number;
  /** Why nothing more is taken; undefined while it is. */
  readonly closedBy: () => SessionEnd | undefined;
  readonly uses: Uses;
  /** An answer looks as if the forge did not honour the child's token. */
  readonly onSuspicion: () => void;
}

/** What the client of one session says, whichever child there is to hear it. */
export class Conversation {
  readonly #parts: ConversationParts;
  readonly #remembered: Remembered;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
    this.#remembered = new Remembered(parts.row, parts.metrics);
  }

  call(
    requests: RequestMessage | readonly RequestMessage[],
    streams = true,
    rules = NO_RULES,
  ): PostedCalls {
    const batch = Array.isArray(requests);
    const list: readonly RequestMessage[] = batch ? requests : [requests as RequestMessage];
    const router = this.#parts.links.current?.router;
    const group = new CallGroup({
      ...{ streams: this.#parts.streams, ids: list.map(({ id }) => id), batch, carries: streams },
      onFinished: (finished) => router?.close(finished),
    });
    router?.carry(group);
    for (const request of list) this.#ask(request, group, rules);
    if (this.#parts.row.state.initialized) router?.release();
    return group;
  }

  notify(message: Exclude<Message, RequestMessage>): Result<void, 'gone' | 'full'> {
    if (this.#parts.closedBy() !== undefined) return err('gone');
    this.#parts.uses.use();
    if (message.kind === 'notification' && message.method === 'notifications/initialized') {
      this.#parts.row.change({ initialized: true });
    }
    const about = this.#parts.links.routers.find((router) => router.knows(message));
    const taken = (about ?? this.#parts.links.current?.router)?.notify(message);
    // Without a child there is nothing to tell: the next one begins anew, and asks what it needs.
    return taken?.ok === false && taken.error === 'full' ? taken : ok(undefined);
  }

  /** What its client may do now; when it was something else, the client is told. */
  permit(permission: string): void {
    const { row, links, streams } = this.#parts;
    if (row.state.permission === permission) return;
    row.change({ permission });
    if (!row.state.initialized) return;
    for (const text of permissionChanges(row.state.serverCapabilities)) {
      const router = links.current?.router;
      if (router === undefined) streams.listening.push(text);
      else router.announce(text);
    }
  }

  #ask(request: RequestMessage, group: CallGroup, rules: CallRules): void {
    const now = this.#answerOf(request, rules);
    if (now !== undefined) {
      group.settle({ text: now, silent: false });
      return;
    }
    this.#parts.uses.use();
    const { requestTimeoutMs: idleMs, requestTimeoutTotalMs: totalMs } = this.#parts;
    const link = this.#parts.links.current;
    if (link === undefined) {
      group.settle(settledBy({ kind: 'gone' }, request, undefined));
      return;
    }
    this.#remembered.asked(request);
    void link.router.ask(request, { idleMs, totalMs }, group).then((outcome) => {
      this.#parts.uses.answered();
      group.settle(this.#settled(request, outcome, rules, link));
      const isAnswered = outcome.kind === 'answered';
      if (isAnswered && looksRefused(outcome.text, outcome.failed)) this.#parts.onSuspicion();
      this.#remembered.answered(request, isAnswered && !outcome.failed);
    });
  }

  /** A fault in showing what a child has made up is one of this call alone. */
  #settled(request: RequestMessage, outcome: Answer, rules: CallRules, { why }: Link): Settled {
    try {
      return settledBy(shownBy(rules, request, outcome), request, why);
    } catch (error) {
      this.#parts.log.error('session.call_failed', { err: error });
      const text = errorText(request.id, RPC_ERROR.internalError, 'internal error');
      return { text, silent: false };
    }
  }

  /** What needs no child to be answered. */
  #answerOf(request: RequestMessage, rules: CallRules): string | undefined {
    const { invalidRequest, connectionClosed } = RPC_ERROR;
    // A second one would promise the child capabilities that the first one has not declared.
    if (request.method === 'initialize') {
      return errorText(request.id, invalidRequest, 'the session is initialized already');
    }
    const closedBy = this.#parts.closedBy();
    if (closedBy !== undefined) {
      return errorText(request.id, connectionClosed, endSentence(closedBy));
    }
    if (request.method !== 'ping') {
      return rules.refusal(request) ?? this.#remembered.refusal(request);
    }
    // MCP ping: at once, whatever the child does meanwhile.
    this.#parts.uses.use();
    return resultText(request.id, {});
  }
}

const NO_RULES: CallRules = { refusal: () => undefined, shown: (_request, text) => text };

/** Errors are the child's own, whoever may see what. */
function shownBy(rules: CallRules, request: RequestMessage, outcome: Answer): Answer {
  if (outcome.kind !== 'answered' || outcome.failed) return outcome;
  const text = rules.shown(request, outcome.text);
  return text === outcome.text ? outcome : { ...outcome, text };
}
