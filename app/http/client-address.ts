import type { Log } from '../base/log.ts';
import {
  type Address,
  isWithin,
  type Network,
  parseAddress,
  subscriberOf,
} from '../base/network.ts';

/** Who has sent a request, as far as it can be believed. */
export interface ClientAddress {
  /** Null where nobody knows it: a proxy behind a unix socket has named none. */
  readonly text: string | null;
  /** What limits count by. */
  readonly subscriber: string;
}

/** What is asked of the server that has taken the request; `port` is undefined on a unix socket. */
interface PeerSource {
  readonly port?: number | undefined;
  requestIP(request: Request): { readonly address: string } | null;
}

export interface ClientAddresses {
  of(request: Request): ClientAddress;
  /** Says where peers are looked up; null while nothing listens. */
  listenWith(server: () => PeerSource | null): void;
}

export interface ClientAddressOptions {
  /** Read anew for each request. */
  readonly trustedProxies: () => readonly Network[];
  readonly log: Log;
}

/** Proxies between us and the client that are looked through. */
const HOPS_MAX = 16;

const NOBODY: ClientAddress = { text: null, subscriber: 'unknown' };

/**
 * Finds the address of the client behind trusted proxies, whom alone `X-Forwarded-For` is believed:
 * anyone else writes into it what he likes, and would have a limit of his own for each request. Read
 * from its end, the first address that is no trusted proxy is the client's; what stands before was
 * written by the client. The peer of a unix socket has no address and is trusted: the socket's mode
 * says who may be one.
 */
export function createClientAddresses(options: ClientAddressOptions): ClientAddresses {
  const { trustedProxies, log } = options;
  let server: () => PeerSource | null = () => null;
  const warn = onceEach(log);

  const behindSocket = (request: Request): ClientAddress => {
    const forwarded = forwardedFor(request);
    const client = firstUntrusted(forwarded, trustedProxies());
    if (client !== undefined) return named(client);
    warn('http.address_unknown', {
      hint: 'the proxy sends no X-Forwarded-For: all its clients share one rate limit',
    });
    return NOBODY;
  };

  return {
    of(request) {
      const source = server();
      if (source === null || source.port === undefined) return behindSocket(request);
      // Null when the client has gone by now; whatever it has written is not believed.
      const peer = parseAddress(source.requestIP(request)?.address ?? '');
      if (peer === undefined) return NOBODY;
      const trusted = trustedProxies();
      if (isWithin(peer, trusted)) {
        return named(firstUntrusted(forwardedFor(request), trusted) ?? peer);
      }
      if (request.headers.has('x-forwarded-for')) {
        warn('http.proxy_not_trusted', {
          address: peer.toString(),
          hint: 'if this is a proxy of yours, TRUSTED_PROXIES must name it: its clients share one rate limit',
        });
      }
      return named(peer);
    },
    listenWith(source) {
      server = source;
    },
  };
}

function named(address: Address): ClientAddress {
  return { text: address.toString(), subscriber: subscriberOf(address) };
}

/** The addresses from the nearest one on; what follows something that is no address is unknown. */
function forwardedFor(request: Request): readonly (Address | undefined)[] {
  const header = request.headers.get('x-forwarded-for');
  if (header === null) return [];
  const hops = header.split(',').slice(-HOPS_MAX).toReversed();
  return hops.map((hop) => parseAddress(withoutPort(hop.trim())));
}

/** Some proxies write the client's port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop;
}

/**
 * The client, or the outermost proxy that is known when all of them are trusted; undefined when the
 * nearest entry is no address.
 */
function firstUntrusted(
  hops: readonly (Address | undefined)[],
  trusted: readonly Network[],
): Address | undefined {
  let outermost: Address | undefined;
  for (const hop of hops) {
    if (hop === undefined) return outermost;
    outermost = hop;
    if (!isWithin(hop, trusted)) return hop;
  }
  return outermost;
}

/** Something about the set-up is told once: each request would say it again. */
function onceEach(log: Log): (event: string, fields: Record<string, string>) => void {
  const told = new Set<string>();
  return (event, fields) => {
    if (told.has(event)) return;
    told.add(event);
    log.warn(event, fields);
  };
}
