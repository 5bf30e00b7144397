import { ambiguousMember } from '../base/ambiguous-member.ts';
import { readBody } from '../base/bounded-body.ts';
import { type Clock, within } from '../base/clock.ts';
import { type Message, parseMessage, type RequestId, RPC_ERROR } from '../base/message.ts';
import { err, ok, type Result } from '../base/result.ts';
import { arrayElements, memberCount, memberCountOf, memberNames } from '../base/splice.ts';
import { isPlainJson } from './headers.ts';
import { rpcRefusal } from './json-rpc-response.ts';

/** How long a client may take to send its body, however steadily it drips. */
export const BODY_TIMEOUT_MS = 30_000;

/** What a POST holds; only sessions of one old revision take a batch. */
export type Posted = Message | { readonly kind: 'batch'; readonly messages: readonly Message[] };

/** Why a POST holds no message. */
export type MessageRefusal =
  | { readonly kind: 'content_type' }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'too_slow' }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'not_json' }
  /** An array, where one message is expected. */
  | { readonly kind: 'batch' }
  | { readonly kind: 'bad_batch'; readonly detail: string }
  | { readonly kind: 'large_batch'; readonly batchMax: number }
  | { readonly kind: 'invalid'; readonly detail: string; readonly id: RequestId | null };

export interface MessageLimits {
  readonly bodyBytesMax: number;
  /** Messages of one batch. */
  readonly batchMax: number;
  readonly clock: Clock;
}

/** Reads the JSON-RPC message of a POST (MCP transports, Sending Messages), with bounds. */
export async function readMessage(
  request: Request,
  limits: MessageLimits,
): Promise<Result<Posted, MessageRefusal>> {
  if (!isPlainJson(request.headers)) return err({ kind: 'content_type' });
  const reading = readBody(request, limits.bodyBytesMax);
  if (!(await within(limits.clock, BODY_TIMEOUT_MS, reading))) return err({ kind: 'too_slow' });
  const body = await reading;
  if (!body.ok) return err({ kind: body.error });
  const text = decodeUtf8(body.value);
  if (text === undefined) return err({ kind: 'not_json' });
  const message = messageOf(text);
  return !message.ok && message.error.kind === 'batch' ? batchOf(text, limits.batchMax) : message;
}

/** A batch with a part that is none is refused as a whole, before anything of it was done. */
function batchOf(text: string, batchMax: number): Result<Posted, MessageRefusal> {
  const elements = arrayElements(text);
  const bad = (detail: string) => err({ kind: 'bad_batch', detail } as const);
  if (elements.length === 0) return bad('an empty batch');
  if (elements.length > batchMax) return err({ kind: 'large_batch', batchMax });
  const messages: Message[] = [];
  for (const { start, end } of elements) {
    const message = messageOf(text.slice(start, end));
    if (!message.ok) return bad('a part of the batch is no message');
    // MCP 2025-03-26 lifecycle, Initialization.
    if (message.value.kind === 'request' && message.value.method === 'initialize') {
      return bad('initialize must not be part of a batch');
    }
    messages.push(message.value);
  }
  return ok({ kind: 'batch', messages });
}

function messageOf(text: string): Result<Message, MessageRefusal> {
  const parsed = parseMessage(text);
  if (!parsed.ok) {
    const fault = parsed.error;
    return err(fault.kind === 'parse' ? { kind: 'not_json' } : fault);
  }
  if (isPlain(parsed.value)) return ok({ ...parsed.value, unambiguous: true });
  const member = ambiguousMember(memberNames(text), MEMBERS);
  if (member === undefined) return ok(parsed.value);
  // No id: which of two it is, is the question.
  return err({ kind: 'invalid', detail: `the member "${member}" is ambiguous`, id: null });
}

/**
 * Whether a request has nothing but its four members, each once, as nearly all have: counted, which
 * costs less than to look at the names.
 */
function isPlain(message: Message): boolean {
  if (message.kind !== 'request' || message.params === undefined) return false;
  return memberCount(message.text) === memberCountOf(message.params) + REQUEST_MEMBERS;
}

const REQUEST_MEMBERS = 4;

/** undefined for bytes that are not UTF-8 (RFC 8259 section 8.1); a byte order mark is dropped. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The answer to a refused message; -32700 and -32600 as JSON-RPC 2.0 section 5.1 has them. */
export function messageRefusalResponse(refusal: MessageRefusal): Response {
  const invalid = (status: number, message: string, headers: Record<string, string> = {}) =>
    rpcRefusal({ status, id: null, code: RPC_ERROR.invalidRequest, message, headers });
  switch (refusal.kind) {
    case 'content_type':
      return invalid(415, 'the body must be application/json in UTF-8, not compressed', {
        accept: 'application/json',
      });
    case 'too_large':
      return invalid(413, 'the message is larger than this broker accepts (MAX_BODY)');
    case 'too_slow':
      return invalid(408, 'the message took too long to arrive', { connection: 'close' });
    case 'aborted':
      return invalid(400, 'the message was cut short');
    case 'not_json':
      return rpcRefusal({
        status: 400,
        id: null,
        code: RPC_ERROR.parseError,
        message: 'the body is not JSON in UTF-8',
      });
    case 'batch':
      return invalid(400, 'send one message at a time: this session has no batches');
    case 'large_batch':
      return invalid(
        400,
        `a batch has no more than ${refusal.batchMax} messages here (MAX_BATCH); send several`,
      );
    case 'bad_batch':
      return invalid(400, refusal.detail);
    case 'invalid':
      return rpcRefusal({
        status: 400,
        id: refusal.id,
        code: RPC_ERROR.invalidRequest,
        message: refusal.detail,
      });
  }
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true });
const MEMBERS: ReadonlySet<string> = new Set([
  'jsonrpc',
  'id',
  'method',
  'params',
  'result',
  'error',
]);
