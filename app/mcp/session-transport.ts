import { type Clock, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { errorText, type Message, type RequestId, RPC_ERROR } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import type { OwnedSession, RequestMessage, SessionRegistry } from '../session/registry.ts';
import type { BearerGrant } from './bearer.ts';
import { EVENT_STREAM_HEADERS, EventStream } from './event-stream.ts';
import { acceptsEventStream, protocolVersionServed, sessionHeader } from './headers.ts';
import { rpcAnswer, rpcFailure, rpcRefusal } from './json-rpc-response.ts';
import { openFailureResponse } from './open-failure.ts';
import { messageRefusalResponse, readMessage } from './request-message.ts';
import type { Challenge } from './www-authenticate.ts';

/** How long an answer may take and still come as plain JSON to a client that reads streams. */
export const QUICK_ANSWER_MS = 1_000;

/**
 * Seconds that a connection may be silent while we wait for the client to read; four keep-alives.
 * Bun does not count what we write (only what the client takes after it was slow), so it is set
 * again with every sign of life.
 */
const CLIENT_PATIENCE_S = 60;

/** No limit: what is waited for has its own (Bun). */
const NO_IDLE_LIMIT_S = 0;

const STREAM_BUFFER_BYTES_MAX = 1024 * 1024;

export interface TransportParts {
  readonly sessions: Pick<SessionRegistry, 'open' | 'find'>;
  /** The bearer check again; see `openSession`. */
  readonly stillGranted: (request: Request) => Promise<Response | undefined>;
  readonly challenge: Challenge;
  /** Protocol versions served. */
  readonly serverVersions: readonly string[];
  readonly bodyBytesMax: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** One authenticated HTTP request; `allowIdle` sets the seconds its connection may be silent. */
export interface Exchange {
  readonly request: Request;
  readonly grant: BearerGrant;
  readonly allowIdle: (seconds: number) => void;
}

/**
 * POST: one JSON-RPC message (MCP 2025-11-25 transports, Sending Messages). `initialize` opens a
 * session, with a session header too: a client that lost its session may still send the old id, and
 * would otherwise never get out of it. Everything else needs one.
 */
export async function postMessage(exchange: Exchange, parts: TransportParts): Promise<Response> {
  const { request } = exchange;
  const read = await readMessage(request, parts);
  if (!read.ok) {
    if (read.error.kind === 'too_large') parts.metrics.limitsReached.inc({ limit: 'MAX_BODY' });
    return messageRefusalResponse(read.error);
  }
  const message = read.value;
  const id = message.kind === 'request' ? message.id : null;
  try {
    const unserved = refuseVersion(request, id, parts);
    if (unserved !== undefined) return unserved;
    if (message.kind === 'request' && message.method === 'initialize') {
      return await openSession(exchange, message, parts);
    }
    const session = findSession(exchange, id, parts);
    if (session instanceof Response) return session;
    return message.kind === 'request'
      ? await callSession(exchange, session, message, parts)
      : notifySession(session, message);
  } catch (error) {
    return rpcFailure(error, id, parts.log);
  }
}

/** DELETE: the client ends its session (MCP transports, Session Management 5). */
export async function deleteSession(exchange: Exchange, parts: TransportParts): Promise<Response> {
  try {
    const unserved = refuseVersion(exchange.request, null, parts);
    if (unserved !== undefined) return unserved;
    const session = findSession(exchange, null, parts);
    if (session instanceof Response) return session;
    await session.end('the client ended it');
    return new Response(null, { status: 204 });
  } catch (error) {
    return rpcFailure(error, null, parts.log);
  }
}

/**
 * A body can be held back for as long as the reading of it may take, and the grant be ended
 * meanwhile: so the credentials are checked once more before a process is started.
 */
async function openSession(
  { request, grant, allowIdle }: Exchange,
  initialize: RequestMessage,
  parts: TransportParts,
): Promise<Response> {
  const refused = await parts.stillGranted(request);
  if (refused !== undefined) return refused;
  allowIdle(NO_IDLE_LIMIT_S);
  const opened = await parts.sessions.open(grant, initialize);
  allowIdle(CLIENT_PATIENCE_S);
  if (!opened.ok) return openFailureResponse(opened.error, initialize.id, parts.challenge);
  const { sessionId, answer, session } = opened.value;
  if (request.signal.aborted) {
    // Nobody has learned the id, so nobody can ever use the session.
    await session.end('the client left before it was open');
  }
  return rpcAnswer(answer, { 'mcp-session-id': sessionId });
}

/** Unknown, ended, malformed and somebody else's are one answer: 404, which means start anew. */
function findSession(
  { request, grant }: Exchange,
  id: RequestId | null,
  parts: TransportParts,
): OwnedSession | Response {
  const header = sessionHeader(request.headers);
  if (header.kind === 'absent') {
    return rpcRefusal({
      status: 400,
      id,
      code: RPC_ERROR.invalidRequest,
      message: 'the Mcp-Session-Id header is missing; begin with initialize',
    });
  }
  const session =
    header.kind === 'present' ? parts.sessions.find(header.sessionId, grant) : undefined;
  return session ?? sessionNotFound(id);
}

function sessionNotFound(id: RequestId | null): Response {
  const code = RPC_ERROR.sessionNotFound;
  return rpcRefusal({ status: 404, id, code, message: 'Session not found' });
}

function refuseVersion(
  request: Request,
  id: RequestId | null,
  parts: TransportParts,
): Response | undefined {
  if (protocolVersionServed(request.headers, parts.serverVersions)) return undefined;
  return rpcRefusal({
    status: 400,
    id,
    code: RPC_ERROR.invalidRequest,
    message: `unsupported MCP-Protocol-Version; served are ${parts.serverVersions.join(', ')}`,
  });
}

function notifySession(
  session: OwnedSession,
  message: Exclude<Message, { kind: 'request' }>,
): Response {
  const taken = session.notify(message);
  if (taken.ok) return new Response(null, { status: 202 });
  if (taken.error === 'gone') return sessionNotFound(null);
  return rpcRefusal({
    status: 503,
    id: null,
    code: RPC_ERROR.connectionClosed,
    message: 'the session takes no more messages now; try again in a moment',
    headers: { 'retry-after': '1' },
  });
}

/** From here on the call goes on whatever the connection does: only `cancelled` cancels (MCP). */
async function callSession(
  { request, allowIdle }: Exchange,
  session: OwnedSession,
  message: RequestMessage,
  parts: TransportParts,
): Promise<Response> {
  const answer = session.call(message).answer.catch((error: unknown) => {
    parts.log.error('mcp.failed', { err: error, session: session.shortId });
    return errorText(message.id, RPC_ERROR.internalError, 'internal error');
  });
  if (await within(parts.clock, QUICK_ANSWER_MS, answer)) return rpcAnswer(await answer);
  if (acceptsEventStream(request.headers)) {
    return streamAnswer(answer, { request, allowIdle }, session.shortId, parts);
  }
  allowIdle(NO_IDLE_LIMIT_S);
  const text = await answer;
  allowIdle(CLIENT_PATIENCE_S);
  return rpcAnswer(text);
}

/** One event, the answer, and then the end (MCP transports, Sending Messages 6). */
function streamAnswer(
  answer: Promise<string>,
  { request, allowIdle }: Pick<Exchange, 'request' | 'allowIdle'>,
  session: string,
  { clock, log }: TransportParts,
): Response {
  const stillReading = () => allowIdle(CLIENT_PATIENCE_S);
  stillReading();
  const stream = new EventStream({
    clock,
    signal: request.signal,
    bufferBytesMax: STREAM_BUFFER_BYTES_MAX,
    onAlive: stillReading,
    onEnd: (end) => log.debug('stream.ended', { session, end }),
  });
  void answer.then((text) => {
    stillReading();
    stream.send(text);
    stream.close();
  });
  return new Response(stream.body, { headers: EVENT_STREAM_HEADERS });
}
