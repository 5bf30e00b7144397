import { isObject } from '../base/json-object.ts';
import { type RequestMessage, RPC_ERROR } from '../base/message.ts';

/** What a client has said in `initialize` that it can be asked for. */
export type ClientCapabilities = Readonly<Record<string, unknown>>;

/**
 * What the child may ask for and is passed on. Tasks are not: they would outlive the streams that
 * carry them; nor is anything experimental, of which nobody here knows how it is to be carried.
 */
const CARRIED = ['elicitation', 'roots', 'sampling'] as const;

/** What each request needs (MCP client features). */
const NEEDED: ReadonlyMap<string, (typeof CARRIED)[number]> = new Map([
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
  ['sampling/createMessage', 'sampling'],
]);

/** The capabilities of the client that the child is told of. */
export function carriedCapabilities(initializeParams: unknown): ClientCapabilities {
  const declared = (initializeParams as { readonly capabilities?: unknown } | undefined)
    ?.capabilities as Record<string, unknown> | null | undefined;
  const carried = CARRIED.filter((name) => isObject(declared?.[name]));
  return Object.fromEntries(carried.map((name) => [name, declared?.[name]]));
}

/** Why a client is not asked this; undefined when it may be. */
export function refusalToAsk(
  request: RequestMessage,
  capabilities: ClientCapabilities,
): { readonly code: number; readonly message: string } | undefined {
  const needed = NEEDED.get(request.method);
  if (needed === undefined || capabilities[needed] === undefined) {
    return { code: RPC_ERROR.methodNotFound, message: 'the client offers no such method' };
  }
  if (needed !== 'elicitation') return undefined;
  const mode = (request.params as { readonly mode?: unknown } | undefined)?.mode ?? 'form';
  if (offersMode(capabilities.elicitation, mode)) return undefined;
  // MCP elicitation, Error Handling: a mode that was not declared.
  return { code: RPC_ERROR.invalidParams, message: 'the client does not offer this mode' };
}

/** An empty declaration means forms, as before there were modes (MCP elicitation, Capabilities). */
function offersMode(elicitation: unknown, mode: unknown): boolean {
  const { form, url } = elicitation as { readonly form?: unknown; readonly url?: unknown };
  if (mode === 'form') return form !== undefined || url === undefined;
  return mode === 'url' && url !== undefined;
}
