import { errorText, type RequestMessage, RPC_ERROR } from '../base/message.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Answer } from './calls.ts';
import type { ClientCapabilities } from './capabilities.ts';
import type { OpenFailure } from './open-failure.ts';

/** Bytes of a client's `initialize` params, which are kept in the session's row. */
export const HANDSHAKE_BYTES_MAX = 64 * 1024;

/** The client's `initialize` params as they are kept. */
export function handshakeOf(initialize: RequestMessage): Result<string, OpenFailure> {
  const handshake = JSON.stringify(initialize.params ?? {});
  if (Buffer.byteLength(handshake) <= HANDSHAKE_BYTES_MAX) return ok(handshake);
  const sentence = `the params of initialize have more than ${HANDSHAKE_BYTES_MAX} bytes`;
  const answer = errorText(initialize.id, RPC_ERROR.invalidParams, sentence);
  return err({ kind: 'refused', answer });
}

/**
 * The broker's own `initialize` for a client: with its name, and with what of its capabilities is
 * carried (MCP lifecycle, Initialization). An unknown version becomes the newest that is served.
 */
export function initializeText(
  request: RequestMessage,
  capabilities: ClientCapabilities,
  serverVersions: readonly string[],
): string {
  const asked = (request.params ?? {}) as { protocolVersion?: unknown; clientInfo?: unknown };
  const version = serverVersions.find((served) => served === asked.protocolVersion);
  const params = {
    protocolVersion: version ?? serverVersions.at(-1),
    capabilities,
    clientInfo: asked.clientInfo ?? { name: 'unknown', version: 'unknown' },
  };
  return JSON.stringify({ jsonrpc: '2.0', id: request.id, method: 'initialize', params });
}

/** What the child's answer to `initialize` comes to; `silent` when there is none. */
export type Opening = Result<
  { readonly answer: string; readonly protocolVersion: string },
  | Extract<OpenFailure, { kind: 'refused' | 'child_failed' }>
  | { readonly kind: 'silent'; readonly detail: string }
>;

export function readAnswer(answer: Answer, serverVersions: readonly string[]): Opening {
  switch (answer.kind) {
    case 'answered': {
      if (answer.failed) return err({ kind: 'refused', answer: answer.text });
      const version = JSON.parse(answer.text).result?.protocolVersion;
      const protocolVersion = serverVersions.find((served) => served === version);
      // A version that we do not know is a protocol that we cannot carry (MCP lifecycle).
      if (protocolVersion !== undefined) return ok({ answer: answer.text, protocolVersion });
      return err({ kind: 'child_failed', detail: 'the program speaks no version that we know' });
    }
    case 'timed_out':
      return err({ kind: 'silent', detail: 'the program did not answer initialize in time' });
    case 'gone':
      return err({ kind: 'silent', detail: 'the program ended before it answered initialize' });
    case 'ambiguous':
    case 'cancelled':
    case 'full':
    case 'too_many':
      return err({ kind: 'child_failed', detail: 'the program could not be asked' });
  }
}
