import { type Message, type RequestId, RPC_ERROR } from '../base/message.ts';
import { ok } from '../base/result.ts';
import type { CallRules, OwnedSession, RequestMessage } from '../session/registry.ts';
import type { Exchange, TransportParts } from './exchange.ts';
import { protocolVersionServed, sessionHeader } from './headers.ts';
import { rpcAnswer, rpcFailure, rpcRefusal, sessionNotFound } from './json-rpc-response.ts';
import { openFailureResponse } from './open-failure.ts';
import { answerCalls, CLIENT_PATIENCE_S, NO_IDLE_LIMIT_S } from './posted-calls.ts';
import { messageRefusalResponse, type Posted, readMessage } from './request-message.ts';

/** The one revision with batches. */
const BATCH_VERSION = '2025-03-26';

/**
 * How long the answer of the bearer check may be used. A body can be held back for as long as the
 * reading of it may take, and the grant be ended or narrowed meanwhile.
 */
export const GRANT_FRESH_MS = 100;

/**
 * POST: one JSON-RPC message (MCP 2025-11-25 transports, Sending Messages). `initialize` opens a
 * session, with a session header too: a client that lost its session may still send the old id, and
 * would otherwise never get out of it. Everything else needs one.
 */
export async function postMessage(exchange: Exchange, parts: TransportParts): Promise<Response> {
  const { request } = exchange;
  const startedAt = parts.clock.now();
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
    const isFresh = parts.clock.now() - startedAt < GRANT_FRESH_MS;
    const granted = isFresh ? ok(exchange.grant) : await parts.stillGranted(request);
    if (!granted.ok) return granted.error;
    const checked = { ...exchange, grant: granted.value };
    const session = await findSession(checked, id, parts);
    if (session instanceof Response) return session;
    return await takePosted(checked, session, message, parts);
  } catch (error) {
    return rpcFailure(error, id, parts.log);
  }
}

/** What a POST holds for a session, as far as its grant allows it. */
function takePosted(
  exchange: Exchange,
  session: OwnedSession,
  posted: Posted,
  parts: TransportParts,
): Response | Promise<Response> {
  const messages = posted.kind === 'batch' ? posted.messages : [posted];
  if (posted.kind === 'batch' && session.protocolVersion !== BATCH_VERSION) {
    return messageRefusalResponse({ kind: 'batch' });
  }
  const admission = parts.enforcement.admit(messages, exchange.grant, session);
  if (admission.kind === 'refused') return admission.response;
  const { rules } = admission;
  switch (posted.kind) {
    case 'request':
      return answerCalls(exchange, session, { requests: posted, rules }, parts);
    case 'batch':
      return takeBatch(exchange, session, { messages, rules }, parts);
    case 'notification':
    case 'response':
      return notifySession(session, [posted]);
  }
}

/** DELETE: the client ends its session (MCP transports, Session Management 5). */
export async function deleteSession(exchange: Exchange, parts: TransportParts): Promise<Response> {
  try {
    const unserved = refuseVersion(exchange.request, null, parts);
    if (unserved !== undefined) return unserved;
    const session = await findSession(exchange, null, parts);
    if (session instanceof Response) return session;
    await session.end('the client ended it');
    return new Response(null, { status: 204 });
  } catch (error) {
    return rpcFailure(error, null, parts.log);
  }
}

/** Before a process is started, the credentials are checked once more however fast the body came. */
async function openSession(
  { request, allowIdle }: Exchange,
  initialize: RequestMessage,
  parts: TransportParts,
): Promise<Response> {
  const granted = await parts.stillGranted(request);
  if (!granted.ok) return granted.error;
  allowIdle(NO_IDLE_LIMIT_S);
  const opened = await parts.sessions.open(granted.value, initialize);
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
export async function findSession(
  { request, grant }: Exchange,
  id: RequestId | null,
  parts: TransportParts,
): Promise<OwnedSession | Response> {
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
    header.kind === 'present' ? await parts.sessions.find(header.sessionId, grant) : undefined;
  return session ?? sessionNotFound(id);
}

export function refuseVersion(
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

/**
 * An array of messages, in sessions of the one revision that has it (MCP 2025-03-26 transports): the
 * messages without an answer first, since a cancellation is meant for what came before.
 */
async function takeBatch(
  exchange: Exchange,
  session: OwnedSession,
  { messages, rules }: { readonly messages: readonly Message[]; readonly rules: CallRules },
  parts: TransportParts,
): Promise<Response> {
  const requests = messages.filter(isRequest);
  const refusal = notifySession(session, messages.filter(isNoRequest));
  if (requests.length === 0 || refusal.status !== 202) return refusal;
  return answerCalls(exchange, session, { requests, rules }, parts);
}

/** Each is taken in its order; the first that is not taken is told. */
function notifySession(
  session: OwnedSession,
  messages: readonly Exclude<Message, RequestMessage>[],
): Response {
  for (const message of messages) {
    const taken = session.notify(message);
    if (!taken.ok) return notTaken(taken.error);
  }
  return new Response(null, { status: 202 });
}

function isRequest(message: Message): message is RequestMessage {
  return message.kind === 'request';
}

function isNoRequest(message: Message): message is Exclude<Message, RequestMessage> {
  return message.kind !== 'request';
}

function notTaken(why: 'gone' | 'full'): Response {
  if (why === 'gone') return sessionNotFound(null);
  return rpcRefusal({
    status: 503,
    id: null,
    code: RPC_ERROR.connectionClosed,
    message: 'the session takes no more messages now; try again in a moment',
    headers: { 'retry-after': '1' },
  });
}
