import type { EventSource, OwnedSession } from '../../app/session/registry.ts';
import { bench, initialize, notification, owner, request } from './session-registry.ts';

type Json = Record<string, unknown>;

/** A session with a played child, from `initialize` with these capabilities on. */
export async function talk(
  options: Parameters<typeof bench>[0] & {
    readonly capabilities?: object;
    readonly initialized?: boolean;
  } = {},
) {
  const made = bench(options);
  const params = { ...(initialize().params as object), capabilities: options.capabilities ?? {} };
  const opened = await made.registry.open(owner(), request('initialize', 0, params));
  if (!opened.ok) throw new Error(`no session: ${opened.error.kind}`);
  const { session, sessionId } = opened.value;
  const child = made.supervisor.last;
  if (options.initialized !== false) session.notify(notification('notifications/initialized'));
  return { ...made, session, sessionId, child };
}

/** The listening stream of a session. */
export function listens(session: OwnedSession): EventSource {
  const listening = session.listen();
  if (listening.kind !== 'events') throw new Error('nobody listens');
  return listening.source;
}

/** The messages that a stream gives out now. */
export function heard(source: EventSource): Json[] {
  const messages: Json[] = [];
  for (let event = source.next(); event !== undefined; event = source.next()) {
    if (event.data !== '') messages.push(JSON.parse(event.data) as Json);
  }
  return messages;
}
