import { errorText, type RequestMessage, RPC_ERROR } from '../base/message.ts';
import type { SessionState } from '../store/sessions.ts';

/** Subscriptions of one session, which every further child is told again. */
export const SUBSCRIPTIONS_MAX = 256;

/** Characters of the URI of a subscription. */
export const SUBSCRIPTION_URI_MAX = 2048;

/** MCP logging, Log Levels. Children may take any text, and a row is no place for it. */
const LOG_LEVELS: ReadonlySet<unknown> = new Set([
  ...['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'],
]);

/** What a request that the child has granted changes in the session; undefined for nothing. */
export function changeBy(
  { method, params }: RequestMessage,
  { subscriptions }: SessionState,
): Partial<SessionState> | undefined {
  const { level, uri } = (params ?? {}) as { readonly level?: unknown; readonly uri?: unknown };
  switch (method) {
    case 'logging/setLevel':
      return typeof level === 'string' && LOG_LEVELS.has(level) ? { logLevel: level } : undefined;
    case 'resources/subscribe':
      if (typeof uri !== 'string' || subscriptions.includes(uri)) return undefined;
      return { subscriptions: [...subscriptions, uri] };
    case 'resources/unsubscribe':
      if (typeof uri !== 'string' || !subscriptions.includes(uri)) return undefined;
      return { subscriptions: subscriptions.filter((kept) => kept !== uri) };
    default:
      return undefined;
  }
}

/** The answer to a subscription beyond what a session can remember. */
export function subscriptionRefusal(
  { id, method, params }: RequestMessage,
  { subscriptions }: SessionState,
): string | undefined {
  if (method !== 'resources/subscribe') return undefined;
  const { uri } = (params ?? {}) as { readonly uri?: unknown };
  if (typeof uri !== 'string' || subscriptions.includes(uri)) return undefined;
  if (subscriptions.length < SUBSCRIPTIONS_MAX && uri.length <= SUBSCRIPTION_URI_MAX) {
    return undefined;
  }
  return errorText(id, RPC_ERROR.connectionClosed, 'the session has no room for a subscription');
}
