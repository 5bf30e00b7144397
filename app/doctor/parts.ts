import type { Clock } from '../base/clock.ts';
import type { Result } from '../base/result.ts';
import type { LoadedConfig } from '../config.ts';
import type { Examined } from '../control/protocol.ts';
import type { HttpFetch } from '../demo/person.ts';
import type { BoundedFetch } from '../forge/bounded-fetch.ts';

/** What the checks look at and through; a test can take the place of each. */
export interface DoctorParts {
  readonly config: LoadedConfig;
  readonly clock: Clock;
  /** Accepts what this machine trusts. */
  readonly machineFetch: BoundedFetch;
  /** Accepts what everybody trusts: the eyes of a hosted client. */
  readonly hostedFetch: BoundedFetch;
  /** For the clients of the sign-in; accepts what this machine trusts. */
  readonly clientFetch: HttpFetch;
  /** What the broker that runs says of itself, asked once; an error is a sentence. */
  readonly askBroker: () => Promise<Result<Examined, string>>;
  /** The addresses of a name, as this machine finds them; rejects when there are none. */
  readonly lookUp: (hostname: string) => Promise<readonly string[]>;
  /** When the certificate at a host and port ends, in epoch milliseconds; undefined: not known. */
  readonly certificateEnd: (hostname: string, port: number) => Promise<number | undefined>;
  /** Bytes that the file system of a directory has left for this user. */
  readonly freeBytes: (directory: string) => number;
  readonly backupDirectory: string;
  /** Somebody of Forgejo for a whole sign-in. */
  readonly testLogin: TestLogin | undefined;
}

export interface TestLogin {
  readonly login: string;
  readonly password: string;
}

/** Longest wait of a hosted client for a document, a registration or a token. */
export const HOSTED_CLIENT_MS = 10_000;
