import { err, ok, type Result } from './result.ts';

/** A JSON-RPC request id (JSON-RPC 2.0 section 4; MCP forbids null). */
export type RequestId = string | number;

/** What the broker and the registries of MCP mean by each number. */
export const RPC_ERROR = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  /** Implementation-defined (JSON-RPC 2.0 section 5.1): the session or its child is not there. */
  connectionClosed: -32000,
  /** What the official SDKs use for an unknown session, and for a request that timed out. */
  sessionNotFound: -32001,
  requestTimeout: -32001,
} as const;

/** One JSON-RPC message with the exact text it came as. */
export type Message =
  | {
      readonly kind: 'request';
      readonly id: RequestId;
      readonly method: string;
      readonly params: unknown;
      readonly text: string;
      /** No member stands twice in it, at any depth. Not set: nobody has looked. */
      readonly unambiguous?: boolean;
    }
  | {
      readonly kind: 'notification';
      readonly method: string;
      readonly params: unknown;
      readonly text: string;
    }
  | {
      readonly kind: 'response';
      readonly id: RequestId;
      readonly failed: boolean;
      readonly text: string;
    };

export type RequestMessage = Extract<Message, { kind: 'request' }>;
export type NotificationMessage = Extract<Message, { kind: 'notification' }>;
export type ResponseMessage = Extract<Message, { kind: 'response' }>;

/** Why a text is not a message; `parse` is JSON that cannot be read at all. */
export type MessageFault =
  | { readonly kind: 'parse'; readonly detail: string }
  | { readonly kind: 'batch' }
  | { readonly kind: 'invalid'; readonly detail: string; readonly id: RequestId | null };

/** Reads one JSON-RPC message; an array is a `batch` fault, since only one old revision has it. */
export function parseMessage(text: string): Result<Message, MessageFault> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err({ kind: 'parse', detail: 'the text is not JSON' });
  }
  if (Array.isArray(value)) return err({ kind: 'batch' });
  return classify(value, text);
}

function classify(value: unknown, text: string): Result<Message, MessageFault> {
  if (typeof value !== 'object' || value === null) return invalid('a message is an object', null);
  const { jsonrpc, id, method, params } = value as Record<string, unknown>;
  const knownId = isRequestId(id) ? id : null;
  if (jsonrpc !== '2.0') return invalid('jsonrpc must be "2.0"', knownId);
  if ('method' in value) {
    if (typeof method !== 'string') return invalid('method must be a string', knownId);
    if (params !== undefined && (typeof params !== 'object' || params === null)) {
      return invalid('params must be an object', knownId);
    }
    // Some readers would take it for a response, about which nobody decides.
    if ('result' in value || 'error' in value) {
      return invalid('a message with a method has neither a result nor an error', knownId);
    }
    if (!('id' in value)) return ok({ kind: 'notification', method, params, text });
    if (knownId === null) return invalid('id must be a string or an integer', null);
    return ok({ kind: 'request', id: knownId, method, params, text });
  }
  if ('result' in value === 'error' in value) {
    return invalid('a message has a method, or else a result or an error', knownId);
  }
  if (knownId === null) return invalid('id must be a string or an integer', null);
  return ok({ kind: 'response', id: knownId, failed: 'error' in value, text });
}

function invalid(detail: string, id: RequestId | null): Result<never, MessageFault> {
  return err({ kind: 'invalid', detail, id });
}

/** MCP (basic, Requests): a string or an integer, never null. */
export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || (typeof value === 'number' && Number.isSafeInteger(value));
}

/** The text of a JSON-RPC success. */
export function resultText(id: RequestId, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result });
}

/** The text of a JSON-RPC error; `id` is null only when the request's id could not be read. */
export function errorText(
  id: RequestId | null,
  code: number,
  message: string,
  data?: unknown,
): string {
  const error = data === undefined ? { code, message } : { code, message, data };
  return JSON.stringify({ jsonrpc: '2.0', id, error });
}
