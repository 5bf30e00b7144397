import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import type { Fetch } from '../forge/bounded-fetch.ts';

/** Where Debian and its relatives keep what the machine trusts; others have one of the two. */
const SYSTEM_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'];

/**
 * Whose certificates are accepted: those that everybody accepts, as hosted clients do, or also those
 * that this machine was told to trust.
 */
export type Trust = 'everybody' | 'machine';

/** A `fetch` that accepts certificates of one of the two; nothing else about it is different. */
export function trusting(trust: Trust, httpFetch: typeof fetch = fetch): Fetch {
  const ca = trust === 'everybody' ? [...rootCertificates] : machineCertificates();
  const tls = { tls: { ca } };
  return (url, init) => httpFetch(url, { ...init, ...tls });
}

function machineCertificates(): string[] {
  const bundles = [...SYSTEM_BUNDLES, process.env.NODE_EXTRA_CA_CERTS ?? ''].flatMap(textOf);
  return [...rootCertificates, ...new Set(bundles)];
}

function textOf(path: string): string[] {
  try {
    return path === '' ? [] : [readFileSync(path, 'utf8')];
  } catch {
    return [];
  }
}
