import { errorText, type RequestId, type RequestMessage, RPC_ERROR } from '../base/message.ts';
import { nestedTooDeep } from '../base/nesting.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Answer } from './calls.ts';
import type { ClientCapabilities } from './capabilities.ts';
import { withToolChanges } from './list-changes.ts';
import type { OpenFailure } from './open-failure.ts';

/** Bytes of a client's `initialize` params, which are kept in the session's row. */
export const HANDSHAKE_BYTES_MAX = 64 * 1024;

/** The client's `initialize` params as they are kept. */
export function handshakeOf(initialize: RequestMessage): Result<string, OpenFailure> {
  const params = initialize.params ?? {};
  const refused = (sentence: string): Result<never, OpenFailure> => {
    const answer = errorText(initialize.id, RPC_ERROR.invalidParams, sentence);
    return err({ kind: 'refused', answer });
  };
  if (nestedTooDeep(params)) return refused('the params of initialize are nested too deeply');
  const handshake = JSON.stringify(params);
  if (Buffer.byteLength(handshake) <= HANDSHAKE_BYTES_MAX) return ok(handshake);
  return refused(`the params of initialize have more than ${HANDSHAKE_BYTES_MAX} bytes`);
}

/**
 * The broker's own `initialize` for a client: with its name, and with what of its capabilities is
 * carried (MCP lifecycle, Initialization). An unknown version becomes the newest that is served.
 */
export function initializeRequest(
  id: RequestId,
  params: unknown,
  capabilities: ClientCapabilities,
  serverVersions: readonly string[],
): RequestMessage {
  const asked = (params ?? {}) as { protocolVersion?: unknown; clientInfo?: unknown };
  const version = serverVersions.find((served) => served === asked.protocolVersion);
  const told = {
    protocolVersion: version ?? serverVersions.at(-1),
    capabilities,
    clientInfo: asked.clientInfo ?? { name: 'unknown', version: 'unknown' },
  };
  const text = JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params: told });
  return { kind: 'request', id, method: 'initialize', params: undefined, text };
}

/** What a child has promised in its answer to `initialize`. */
export interface Opening {
  /** With the id that the request had. */
  readonly answer: string;
  readonly protocolVersion: string;
  /** JSON text of the server's capabilities. */
  readonly serverCapabilities: string;
}

/** Reads that answer; `silent`: there was none. */
export function readOpening(
  answer: Answer,
  serverVersions: readonly string[],
): Result<
  Opening,
  | Extract<OpenFailure, { kind: 'refused' | 'child_failed' }>
  | { readonly kind: 'silent'; readonly detail: string }
> {
  switch (answer.kind) {
    case 'answered': {
      if (answer.failed) return err({ kind: 'refused', answer: answer.text });
      const { result } = JSON.parse(answer.text);
      if (nestedTooDeep(result)) {
        return err({ kind: 'child_failed', detail: 'the program nests its answer too deeply' });
      }
      const version = result?.protocolVersion;
      const protocolVersion = serverVersions.find((served) => served === version);
      // A version that we do not know is a protocol that we cannot carry (MCP lifecycle).
      if (protocolVersion === undefined) {
        return err({ kind: 'child_failed', detail: 'the program speaks no version that we know' });
      }
      return ok({ ...withToolChanges(answer.text, result.capabilities ?? {}), protocolVersion });
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
