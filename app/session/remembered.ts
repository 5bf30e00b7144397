import { errorText, type RequestMessage, RPC_ERROR } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import type { SessionState } from '../store/sessions.ts';
import type { KeptRow } from './kept-row.ts';

/** Subscriptions of one session, which every further child is told again. */
export const SUBSCRIPTIONS_MAX = 256;

/** Characters of the URI of a subscription. */
export const SUBSCRIPTION_URI_MAX = 2048;

/** MCP logging, Log Levels. Children may take any text, and a row is no place for it. */
const LOG_LEVELS: ReadonlySet<unknown> = new Set([
  ...['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'],
]);

const SUBSCRIBE = 'resources/subscribe';

/** What of a client's requests further children are to be told, once a child has granted them. */
export class Remembered {
  readonly #row: KeptRow;
  readonly #metrics: Metrics;
  /** Subscriptions that the child was asked for and has not answered. */
  #asked = 0;

  constructor(row: KeptRow, metrics: Metrics) {
    this.#row = row;
    this.#metrics = metrics;
  }

  /** The answer to a subscription beyond what a session can remember. */
  refusal({ id, method, params }: RequestMessage): string | undefined {
    if (method !== SUBSCRIBE) return undefined;
    const { subscriptions } = this.#row.state;
    const { uri } = (params ?? {}) as { readonly uri?: unknown };
    if (typeof uri !== 'string' || subscriptions.includes(uri)) return undefined;
    const hasRoom = subscriptions.length + this.#asked < SUBSCRIPTIONS_MAX;
    if (hasRoom && uri.length <= SUBSCRIPTION_URI_MAX) return undefined;
    this.#metrics.limitsReached.inc({ limit: 'SUBSCRIPTIONS_PER_SESSION' });
    return errorText(id, RPC_ERROR.connectionClosed, 'the session has no room for a subscription');
  }

  /** The child is asked this; `answered` is to follow. */
  asked({ method }: RequestMessage): void {
    if (method === SUBSCRIBE) this.#asked += 1;
  }

  /** What became of it. */
  answered(request: RequestMessage, isGranted: boolean): void {
    if (request.method === SUBSCRIBE) this.#asked -= 1;
    if (!isGranted) return;
    const change = changeBy(request, this.#row.state);
    if (change !== undefined) this.#row.change(change);
  }
}

/** What a request that the child has granted changes in the session; undefined for nothing. */
function changeBy(
  { method, params }: RequestMessage,
  { subscriptions }: SessionState,
): Partial<SessionState> | undefined {
  const { level, uri } = (params ?? {}) as { readonly level?: unknown; readonly uri?: unknown };
  switch (method) {
    case 'logging/setLevel':
      return typeof level === 'string' && LOG_LEVELS.has(level) ? { logLevel: level } : undefined;
    case SUBSCRIBE:
      if (typeof uri !== 'string' || subscriptions.includes(uri)) return undefined;
      return { subscriptions: [...subscriptions, uri] };
    case 'resources/unsubscribe':
      if (typeof uri !== 'string' || !subscriptions.includes(uri)) return undefined;
      return { subscriptions: subscriptions.filter((kept) => kept !== uri) };
    default:
      return undefined;
  }
}
