import { RPC_ERROR } from '../base/message.ts';
import type { Exchange, TransportParts } from './exchange.ts';
import { acceptsEventStream, sessionHeader } from './headers.ts';
import { rpcFailure, rpcRefusal } from './json-rpc-response.ts';
import { eventStreamResponse } from './posted-calls.ts';
import { findSession, refuseVersion } from './session-transport.ts';

/**
 * GET: what the child says outside of calls, or the rest of a stream that broke off (MCP transports,
 * Listening for Messages and Resumability). Another GET of the same owner takes the stream over.
 */
export async function listenToSession(
  exchange: Exchange,
  parts: TransportParts,
): Promise<Response> {
  const { headers, method } = exchange.request;
  // Elysia answers HEAD with the GET route. Without a session there is no stream: clients probe so
  // for the transport of 2024-11-05 (MCP transports, Backwards Compatibility), and 405 is their no.
  if (method === 'HEAD' || sessionHeader(headers).kind === 'absent') return noStream();
  try {
    const unserved = refuseVersion(exchange.request, null, parts);
    if (unserved !== undefined) return unserved;
    const session = await findSession(exchange, null, parts);
    if (session instanceof Response) return session;
    if (!acceptsEventStream(headers)) return notAcceptable();
    const listening = session.listen(headers.get('last-event-id') || undefined);
    switch (listening.kind) {
      case 'events':
        return eventStreamResponse(listening.source, exchange, session, parts);
      case 'nothing':
        return new Response(null, { status: 204 });
      case 'unknown':
        return unknownEvent();
    }
  } catch (error) {
    return rpcFailure(error, null, parts.log);
  }
}

function noStream(): Response {
  return rpcRefusal({
    status: 405,
    id: null,
    code: RPC_ERROR.invalidRequest,
    message: 'a stream needs a session and GET; begin with initialize',
    headers: { allow: 'POST, DELETE, OPTIONS' },
  });
}

function notAcceptable(): Response {
  return rpcRefusal({
    status: 406,
    id: null,
    code: RPC_ERROR.invalidRequest,
    message: 'the answer is an event stream: Accept must list text/event-stream',
  });
}

/** Another session's too: nobody learns of streams that are not theirs. */
function unknownEvent(): Response {
  return rpcRefusal({
    status: 400,
    id: null,
    code: RPC_ERROR.invalidRequest,
    message: 'the Last-Event-ID is none of this session',
  });
}
