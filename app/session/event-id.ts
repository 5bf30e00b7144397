import type { Keyring } from '../base/keyring.ts';
import { isRequestId, type RequestId } from '../base/message.ts';
import { type Digest, newToken, type Random } from '../base/secret.ts';

/** What an event id says (HTML Living Standard section 9.2; MCP transports, Resumability). */
export interface EventId {
  /** Whether this run of the session gave it out: another one has no events of it. */
  readonly ownRun: boolean;
  readonly stream: number;
  readonly sequence: number;
  /** The stream ends with this event. */
  readonly last: boolean;
  /** The requests that the stream answers; of a long one nothing is known. */
  readonly requestIds: readonly RequestId[];
}

/** The event ids of one session; nobody else's can be read with it. */
export interface EventIds {
  /** What each event of a stream carries: to be made once a stream. */
  seal(stream: number, requestIds: readonly RequestId[]): string;
  format(stream: number, sequence: number, last: boolean, seal: string): string;
  /** undefined for what is malformed, changed, or of another session. */
  parse(text: string): EventId | undefined;
}

/** Characters of request ids that an event id carries; clients may choose ids of any length. */
export const SEALED_IDS_MAX = 512;

const RUN_BYTES = 6;

/** `run.stream.sequence.seal`; an `e` behind the sequence number marks the end of its stream. */
const EVENT_ID = /^([\w-]{8})\.(\d{1,15})\.(\d{1,15})(e?)\.([\w-]{38,1024})$/;

/**
 * Makes the codec of event ids. A run is the time that a session is in memory: another one, of this
 * broker or a later one, has no events of it. The ids of the requests are sealed, with stream and
 * session bound to them: so an id that comes back was ours, for this session and this stream, even
 * when nothing else is known of it any more.
 */
export function createEventIds(
  keyring: Pick<Keyring, 'sealEventText' | 'openEventText'>,
  random: Random,
): (session: Digest) => EventIds {
  return (session) => {
    const run = newToken(random, RUN_BYTES);
    const place = (ofRun: string, stream: number) => JSON.stringify([session, ofRun, stream]);
    return {
      seal(stream, requestIds) {
        const clear = JSON.stringify(requestIds);
        const kept = clear.length <= SEALED_IDS_MAX ? clear : '[]';
        return keyring.sealEventText(kept, place(run, stream));
      },
      format: (stream, sequence, last, seal) =>
        `${run}.${stream}.${sequence}${last ? 'e' : ''}.${seal}`,
      parse(text) {
        const [, ofRun, stream, sequence, end, seal] = EVENT_ID.exec(text) ?? [];
        if (ofRun === undefined || seal === undefined) return undefined;
        const clear = keyring.openEventText(seal, place(ofRun, Number(stream)));
        if (clear === undefined) return undefined;
        return {
          ownRun: ofRun === run,
          stream: Number(stream),
          sequence: Number(sequence),
          last: end === 'e',
          requestIds: (JSON.parse(clear) as unknown[]).filter(isRequestId),
        };
      },
    };
  };
}
