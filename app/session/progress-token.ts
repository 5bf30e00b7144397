import type { RequestId } from '../base/message.ts';
import { spliceSpan, topLevelMembers } from '../base/splice.ts';

/** Where the token stands in a request (MCP progress). */
const PATH = ['params', '_meta', 'progressToken'] as const;

/** The client's progress token; undefined when the request has none that MCP allows. */
export function progressTokenOf(params: unknown): RequestId | undefined {
  const meta = (params as { readonly _meta?: unknown } | undefined)?._meta;
  const token = (meta as { readonly progressToken?: unknown } | null | undefined)?.progressToken;
  return typeof token === 'string' || typeof token === 'number' ? token : undefined;
}

/**
 * The request with `token` in the place of the client's progress token, and no other byte changed.
 * Towards the child a token must be unique among active requests (MCP progress), which clients
 * are not trusted with.
 */
export function withProgressToken(text: string, token: number): string {
  let start = 0;
  let end = text.length;
  for (const name of PATH) {
    const span = topLevelMembers(text.slice(start, end), [name], name).spans.get(name);
    if (span === undefined) return text;
    end = start + span.end;
    start += span.start;
  }
  return spliceSpan(text, { start, end }, String(token));
}
