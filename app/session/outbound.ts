import type { Metrics } from '../base/metrics.ts';
import type { CallGroup } from './call-group.ts';
import type { Streams } from './streams.ts';

/** Characters of all messages together that wait for the client's `notifications/initialized`. */
export const HELD_CHARACTERS_MAX = 1024 * 1024;

/**
 * Where a message belongs: to the calls of a POST, as long as their stream is open. Delivery writes
 * down where it went, so that what follows can go the same way.
 */
export interface Address {
  group?: CallGroup | undefined;
}

/**
 * What a child says to its client unasked, each on one stream only (MCP transports, Multiple
 * Connections). Nothing on stdio links a message to a call, so where nothing else decides: the one
 * call under way, else the listening stream, else the newest call, else whoever listens next.
 */
export class Outbound {
  readonly #streams: Streams;
  readonly #metrics: Metrics;
  readonly #heldMax: number;
  /** Those under way whose clients read streams, the newest last. */
  readonly #groups = new Set<CallGroup>();
  readonly #held: (() => void)[] = [];
  #heldCharacters = 0;
  #initialized = false;

  constructor(parts: {
    readonly streams: Streams;
    readonly metrics: Metrics;
    /** Messages that may wait for the client's `notifications/initialized`. */
    readonly heldMax: number;
  }) {
    this.#streams = parts.streams;
    this.#metrics = parts.metrics;
    this.#heldMax = parts.heldMax;
  }

  open(group: CallGroup): void {
    if (group.carries) this.#groups.add(group);
  }

  close(group: CallGroup): void {
    this.#groups.delete(group);
  }

  /**
   * Sends a message on its way; false when as many as may wait do so already. Before the client
   * is initialized only what is `early` leaves (MCP lifecycle, Initialization).
   */
  send(text: string, address: Address = {}, early = false): boolean {
    if (this.#initialized || early) {
      this.#deliver(text, address);
      return true;
    }
    const characters = this.#heldCharacters + text.length;
    if (this.#held.length >= this.#heldMax || characters > HELD_CHARACTERS_MAX) {
      this.#metrics.limitsReached.inc({ limit: 'MAX_HELD_MESSAGES' });
      return false;
    }
    this.#heldCharacters = characters;
    this.#held.push(() => this.#deliver(text, address));
    return true;
  }

  /** The client is initialized: what was held back leaves in its order. */
  initialized(): void {
    this.#initialized = true;
    for (const deliver of this.#held.splice(0)) deliver();
    this.#heldCharacters = 0;
  }

  #deliver(text: string, address: Address): void {
    if (address.group?.say(text)) return;
    const group = this.#chosen();
    if (group?.say(text)) address.group = group;
    else this.#streams.listening.push(text);
  }

  #chosen(): CallGroup | undefined {
    const [first] = this.#groups;
    if (this.#groups.size === 1) return first;
    return this.#streams.listening.attached ? undefined : [...this.#groups].at(-1);
  }
}
