import type { RequestId } from '../base/message.ts';

/** The text of `notifications/cancelled` (MCP cancellation); other members of `params` stay. */
export function cancelledText(params: {
  readonly requestId: RequestId;
  readonly reason?: unknown;
}): string {
  return JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
}
