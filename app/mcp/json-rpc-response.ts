import type { Log } from '../base/log.ts';
import { errorText, type RequestId, RPC_ERROR } from '../base/message.ts';
import { StoreError } from '../store/store-error.ts';

/** An answer of this endpoint that is an error before, or instead of, the child's. */
export interface RpcRefusal {
  readonly status: number;
  /** null when the request's id is not known, or cannot be. */
  readonly id: RequestId | null;
  readonly code: number;
  /** For the client and the person behind it: says why, and nothing internal. */
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal as an HTTP answer: always a JSON-RPC error, so that a client can show its message. */
export function rpcRefusal(refusal: RpcRefusal): Response {
  return new Response(errorText(refusal.id, refusal.code, refusal.message), {
    status: refusal.status,
    headers: { ...JSON_HEADERS, ...refusal.headers },
  });
}

/** A JSON-RPC answer that is already text: the child's bytes, untouched. */
export function rpcAnswer(text: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(text, { headers: { ...JSON_HEADERS, ...headers } });
}

/**
 * What is left when something threw. A store that fails for now (full disk, another process holds
 * it) is 503 and worth a retry; everything else is a fault of ours: logged whole, told to nobody.
 */
export function rpcFailure(error: unknown, id: RequestId | null, log: Log): Response {
  if (error instanceof StoreError) {
    return rpcRefusal({
      status: 503,
      id,
      code: RPC_ERROR.internalError,
      message: 'the broker cannot read or write its store now; try again later',
      headers: { 'retry-after': STORE_RETRY_AFTER_S },
    });
  }
  log.error('mcp.failed', { err: error });
  return rpcRefusal({
    status: 500,
    id,
    code: RPC_ERROR.internalError,
    message: 'internal error',
  });
}

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };
const STORE_RETRY_AFTER_S = '5';

/** MCP transports, Session Management 3: start anew. */
export function sessionNotFound(id: RequestId | null): Response {
  const code = RPC_ERROR.sessionNotFound;
  return rpcRefusal({ status: 404, id, code, message: 'Session not found' });
}
