import type { RequestMessage } from '../base/message.ts';
import { type Span, spliceSpan } from '../base/splice.ts';
import { progressTokenOf, withRequestToken } from './progress-token.ts';

/** A request under another id, which is its progress token too. */
export interface Renamed {
  readonly text: string;
  /** Id and progress token as its asker wrote them. */
  readonly idText: string;
  readonly tokenText: string | undefined;
}

/**
 * The request with `newId` (JSON text) in the place of its id, which stands at `span`, and no other
 * byte changed. undefined when its progress token stands there twice.
 */
export function renamed(request: RequestMessage, span: Span, newId: string): Renamed | undefined {
  const text = spliceSpan(request.text, span, newId);
  const idText = request.text.slice(span.start, span.end);
  if (progressTokenOf(request.params) === undefined) return { text, idText, tokenText: undefined };
  const retokened = withRequestToken(text, newId);
  return retokened && { text: retokened.text, idText, tokenText: retokened.was };
}
