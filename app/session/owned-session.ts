import type { Message, RequestMessage } from '../base/message.ts';
import type { Result } from '../base/result.ts';
import type { PostedCalls } from './call-group.ts';
import type { OpenFailure } from './open-failure.ts';
import type { Listening } from './streams.ts';

/** Whom a session belongs to: account and client; `grantId` is the grant that carries it now. */
export interface SessionOwner {
  readonly grantId: string;
  readonly accountId: number;
  readonly clientId: string;
  readonly login: string;
  /** A name of what its client may do now: whoever is known under another one is told. */
  readonly permission?: string | undefined;
}

/** The request of a POST, or those of a batch. */
export type PostedRequests = RequestMessage | readonly RequestMessage[];

/** What the client of a call may do and see; decided for each call anew. */
export interface CallRules {
  /** The answer to a request that the child must not see. */
  refusal(request: RequestMessage): string | undefined;
  /** An answer of the child as this client may see it. */
  shown(request: RequestMessage, text: string): string;
}

/** A session that was looked up for its owner. */
export interface OwnedSession {
  /** The first 8 characters of the id's digest: how logs name the session. */
  readonly shortId: string;
  readonly protocolVersion: string;
  /** Whether a child is there to be asked now. */
  readonly attached: boolean;
  /**
   * Makes sure that a child is there to be asked; to be called before `call`, at once when there is
   * one. However many wait, one child is started. A failure leaves the session as it was, but for
   * `session_gone`.
   */
  attach(): Promise<Result<void, OpenFailure>>;
  /**
   * The request of a POST, or those of a batch; each is always answered, under the client's id.
   * With `streams`, its client reads event streams. Without `rules`, all is allowed.
   */
  call(requests: PostedRequests, streams?: boolean, rules?: CallRules): PostedCalls;
  /** Passes a notification or a response on to the child. */
  notify(message: Exclude<Message, RequestMessage>): Result<void, 'gone' | 'full'>;
  /** The listening stream, or the rest of the stream behind an event that the client has. */
  listen(lastEventId?: string): Listening;
  /** Ends session and child; resolves when both are gone. Harmless when repeated. */
  end(reason: string): Promise<void>;
}
