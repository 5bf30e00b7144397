import { within } from '../base/clock.ts';
import type { RequestId } from '../base/message.ts';
import type { CallRules, EventSource, OwnedSession, RequestMessage } from '../session/registry.ts';
import { EVENT_STREAM_HEADERS, EventStream } from './event-stream.ts';
import { acceptsEventStream } from './headers.ts';
import { rpcAnswer } from './json-rpc-response.ts';
import { openFailureResponse } from './open-failure.ts';
import type { Exchange, TransportParts } from './session-transport.ts';

/** How long an answer may take and still come as plain JSON to a client that reads streams. */
export const QUICK_ANSWER_MS = 1_000;

/**
 * Seconds that a connection may be silent while we wait for the client to read; four keep-alives.
 * Bun does not count what we write (only what the client takes after it was slow), so it is set
 * again with every sign of life.
 */
export const CLIENT_PATIENCE_S = 60;

/** No limit: what is waited for has its own (Bun). */
export const NO_IDLE_LIMIT_S = 0;

/** The requests of a POST, with what their client may do and see. */
export interface AdmittedCalls {
  readonly requests: RequestMessage | readonly RequestMessage[];
  readonly rules: CallRules;
}

/**
 * Answers the requests of a POST: as plain JSON when nothing else is to be said and it comes at
 * once, else as an event stream (MCP transports, Sending Messages 5 and 6). From here on the calls go
 * on whatever the connection does: only `notifications/cancelled` cancels.
 */
export async function answerCalls(
  exchange: Exchange,
  session: OwnedSession,
  { requests, rules }: AdmittedCalls,
  parts: TransportParts,
): Promise<Response> {
  const { request, allowIdle } = exchange;
  const streams = acceptsEventStream(request.headers);
  if (!session.attached && needsChild({ requests, rules })) {
    // A start may take longer than Bun lets a silent connection wait.
    allowIdle(NO_IDLE_LIMIT_S);
    const attached = await session.attach();
    allowIdle(CLIENT_PATIENCE_S);
    if (!attached.ok) return openFailureResponse(attached.error, idOf(requests), parts.challenge);
  }
  const posted = session.call(requests, streams, rules);
  const decided = await within(parts.clock, QUICK_ANSWER_MS, posted.decided);
  if (decided && posted.plain) return rpcAnswer(await posted.answer);
  if (streams) return eventStreamResponse(posted.read(), exchange, session, parts);
  allowIdle(NO_IDLE_LIMIT_S);
  const text = await posted.answer;
  allowIdle(CLIENT_PATIENCE_S);
  return rpcAnswer(text);
}

/** What is answered here needs none (MCP ping). */
function needsChild({ requests, rules }: AdmittedCalls): boolean {
  const needs = (request: RequestMessage) => {
    const { method } = request;
    return method !== 'ping' && method !== 'initialize' && rules.refusal(request) === undefined;
  };
  return 'method' in requests ? needs(requests) : requests.some(needs);
}

function idOf(requests: RequestMessage | readonly RequestMessage[]): RequestId | null {
  return 'id' in requests ? requests.id : null;
}

/** The events of a source as they come, until it or the connection ends. */
export function eventStreamResponse(
  source: EventSource,
  { request, allowIdle }: Exchange,
  { shortId: session }: OwnedSession,
  { clock, log, metrics }: TransportParts,
): Response {
  const stillReading = () => allowIdle(CLIENT_PATIENCE_S);
  stillReading();
  metrics.openStreams.inc();
  const stream = new EventStream({
    ...{ clock, source },
    signal: request.signal,
    onAlive: stillReading,
    onEnd: (end) => {
      metrics.openStreams.dec();
      log.debug('stream.ended', { session, end });
    },
  });
  return new Response(stream.body, { headers: EVENT_STREAM_HEADERS });
}
