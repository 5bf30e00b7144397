import { isRequestId, type RequestId } from '../base/message.ts';
import { spanAtPath, spliceSpan } from '../base/splice.ts';

/** Where the token stands in a request, and in a progress notification (MCP progress). */
const IN_REQUEST = ['params', '_meta', 'progressToken'];
const IN_NOTIFICATION = ['params', 'progressToken'];

/** A message with another progress token, and the one that it had, as it was written. */
export interface Retokened {
  readonly text: string;
  readonly was: string;
}

/** The token under which a request wants to hear of progress; undefined without a valid one. */
export function progressTokenOf(params: unknown): RequestId | undefined {
  const meta = (params as { readonly _meta?: unknown } | undefined)?._meta;
  const token = (meta as { readonly progressToken?: unknown } | null | undefined)?.progressToken;
  return isToken(token) ? token : undefined;
}

/** The token that a progress notification is about. */
export function progressOf(params: unknown): RequestId | undefined {
  const token = (params as { readonly progressToken?: unknown } | undefined)?.progressToken;
  return isToken(token) ? token : undefined;
}

/**
 * The request with `token` (JSON text) in the place of its progress token, and no other byte
 * changed: a token must be unique among active requests (MCP progress), which neither clients nor
 * children are trusted with. undefined when it stands there twice: each reader may take another.
 */
export function withRequestToken(text: string, token: string): Retokened | undefined {
  return replaceAt(text, IN_REQUEST, token);
}

/** The progress notification with another token; undefined as above. */
export function withProgressToken(text: string, token: string): Retokened | undefined {
  return replaceAt(text, IN_NOTIFICATION, token);
}

function replaceAt(text: string, path: readonly string[], token: string): Retokened | undefined {
  const span = spanAtPath(text, path);
  if (span === undefined || span === 'ambiguous') return undefined;
  return { text: spliceSpan(text, span, token), was: text.slice(span.start, span.end) };
}

function isToken(value: unknown): value is RequestId {
  return isRequestId(value) || typeof value === 'number';
}
