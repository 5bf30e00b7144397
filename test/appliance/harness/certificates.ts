import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './command.ts';

/** A certificate authority of the run, and a certificate of it for some names. PEM all. */
export interface Certificates {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];

/** Plays the public authority of the run's small internet. `directory` keeps the files. */
export async function createCertificates(
  directory: string,
  names: readonly string[],
): Promise<Certificates> {
  const path = (name: string) => join(directory, name);
  await must([
    ...['openssl', 'req', '-x509', ...CURVE, '-days', '2', '-subj', '/CN=Example Test Root'],
    ...['-keyout', path('authority.key'), '-out', path('authority.crt')],
    ...['-addext', 'basicConstraints=critical,CA:TRUE'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ]);
  await must([
    ...['openssl', 'req', ...CURVE, '-subj', `/CN=${names[0]}`],
    ...['-keyout', path('server.key'), '-out', path('server.csr')],
  ]);
  writeFileSync(
    path('server.ext'),
    `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\nextendedKeyUsage=serverAuth\n`,
  );
  await must([
    ...['openssl', 'x509', '-req', '-in', path('server.csr'), '-days', '2'],
    ...['-CA', path('authority.crt'), '-CAkey', path('authority.key'), '-CAcreateserial'],
    ...['-extfile', path('server.ext'), '-out', path('server.crt')],
  ]);
  const read = (name: string) => readFileSync(path(name), 'utf8');
  return {
    authority: read('authority.crt'),
    certificate: read('server.crt'),
    key: read('server.key'),
  };
}
