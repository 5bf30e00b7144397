import type { RequestId } from '../base/message.ts';

/**
 * The text of `notifications/cancelled` (MCP cancellation) under another id. Of what its sender wrote
 * only the reason goes along: a child whose reader passes over upper and lower case (Go's JSON
 * package) would take a further `requestID` for the id.
 */
export function cancelledText(requestId: RequestId, sent: unknown): string {
  const { reason } = (sent ?? {}) as { readonly reason?: unknown };
  const params = { requestId, reason: typeof reason === 'string' ? reason : undefined };
  return JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
}
