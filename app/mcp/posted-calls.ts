import { within } from '../base/clock.ts';
import type { RequestId } from '../base/message.ts';
import type { CallRules, EventSource, OwnedSession, RequestMessage } from '../session/registry.ts';
import type { Admission } from './enforcement.ts';
import { EVENT_STREAM_HEADERS, EventStream } from './event-stream.ts';
import type { Exchange, TransportParts } from './exchange.ts';
import { acceptsEventStream } from './headers.ts';
import { rpcAnswer } from './json-rpc-response.ts';
import { openFailureResponse } from './open-failure.ts';

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
  calls: AdmittedCalls,
  parts: TransportParts,
): Promise<Response> {
  const { request, allowIdle } = exchange;
  const streams = acceptsEventStream(request.headers);
  let { rules } = calls;
  if (!session.attached && needsChild(calls)) {
    const ready = await waitForChild(exchange, session, calls, parts);
    if (ready.kind === 'refused') return ready.response;
    rules = ready.rules;
  }
  const posted = session.call(calls.requests, streams, rules);
  const decided = await within(parts.clock, QUICK_ANSWER_MS, posted.decided);
  if (decided && posted.plain) return rpcAnswer(await posted.answer);
  if (streams) return eventStreamResponse(posted.read(), exchange, session, parts);
  allowIdle(NO_IDLE_LIMIT_S);
  const text = await posted.answer;
  allowIdle(CLIENT_PATIENCE_S);
  return rpcAnswer(text);
}

/** Until the child is there the grant can end, or hold less than what the calls were admitted by. */
async function waitForChild(
  { request, grant, allowIdle }: Exchange,
  session: OwnedSession,
  { requests, rules }: AdmittedCalls,
  parts: TransportParts,
): Promise<Admission> {
  // A start may take longer than Bun lets a silent connection wait.
  allowIdle(NO_IDLE_LIMIT_S);
  const attached = await session.attach();
  allowIdle(CLIENT_PATIENCE_S);
  if (!attached.ok) {
    const response = openFailureResponse(attached.error, idOf(requests), parts.challenge);
    return { kind: 'refused', response };
  }
  const granted = await parts.stillGranted(request);
  if (!granted.ok) return { kind: 'refused', response: granted.error };
  if (granted.value.permission === grant.permission) return { kind: 'admitted', rules };
  const messages = 'method' in requests ? [requests] : requests;
  return parts.enforcement.admit(messages, granted.value, session);
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
