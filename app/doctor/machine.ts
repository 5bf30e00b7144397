import { lookup } from 'node:dns/promises';
import { statfsSync } from 'node:fs';
import { connect } from 'node:tls';
import { type Clock, within } from '../base/clock.ts';
import { VERSION } from '../base/version.ts';
import { createBoundedFetch } from '../forge/bounded-fetch.ts';
import { type DoctorParts, HOSTED_CLIENT_MS } from './parts.ts';
import { trusting } from './web.ts';

/** Everything that doctor looks through, on this machine. */
export function machineParts(
  clock: Clock,
): Pick<
  DoctorParts,
  'machineFetch' | 'hostedFetch' | 'clientFetch' | 'lookUp' | 'certificateEnd' | 'freeBytes'
> {
  const userAgent = `fjmcp-broker-doctor/${VERSION}`;
  const machine = trusting('machine');
  return {
    machineFetch: createBoundedFetch({ fetch: machine, clock, userAgent }),
    hostedFetch: createBoundedFetch({ fetch: trusting('everybody'), clock, userAgent }),
    clientFetch: (url, init) => machine(String(url), init ?? {}),
    // As every program of this machine finds it: /etc/hosts too.
    lookUp: async (hostname) =>
      (await lookup(hostname, { all: true })).map(({ address }) => address),
    certificateEnd: (hostname, port) => certificateEnd(hostname, port, clock),
    freeBytes(directory) {
      const { bavail, bsize } = statfsSync(directory);
      return bavail * bsize;
    },
  };
}

/** It is only looked at here, so whoever signed it may do so. */
async function certificateEnd(
  servername: string,
  port: number,
  clock: Clock,
): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const socket = connect({ host: servername, port, servername, rejectUnauthorized: false }, () => {
    const end = Date.parse(socket.getPeerCertificate().valid_to);
    resolve(Number.isNaN(end) ? undefined : end);
  });
  socket.on('error', () => resolve(undefined));
  const inTime = await within(clock, HOSTED_CLIENT_MS, promise);
  socket.destroy();
  return inTime ? promise : undefined;
}
