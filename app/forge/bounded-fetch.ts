import { readBody } from '../base/bounded-body.ts';
import type { Clock } from '../base/clock.ts';
import { err, ok, type Result } from '../base/result.ts';

/** What of the runtime's `fetch` is needed; tests pass their own. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface BoundedRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as a form. */
  readonly form?: URLSearchParams;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** From the start to the last byte of the answer. */
  readonly timeoutMs: number;
}

/** A whole answer. */
export interface BoundedAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * Why there is no whole answer. `untrusted`: the other side's certificate is not accepted, which
 * no waiting cures. `detail` holds names of errors only, never what was sent or received.
 */
export interface FetchFault {
  readonly kind: 'timeout' | 'unreachable' | 'untrusted' | 'cut' | 'too_large';
  readonly detail: string;
}

/**
 * One HTTP call with an end: it settles within `timeoutMs`, reads no more than the limit, follows
 * no redirect (a redirect would carry the client secret to wherever it points) and never throws.
 */
export type BoundedFetch = (request: BoundedRequest) => Promise<Result<BoundedAnswer, FetchFault>>;

/** A token answer has about 2 KB, a user about 1 KB. */
export const ANSWER_BYTES_MAX = 256 * 1024;

export function createBoundedFetch(options: {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly userAgent: string;
  readonly answerBytesMax?: number;
}): BoundedFetch {
  const { fetch, clock, userAgent, answerBytesMax = ANSWER_BYTES_MAX } = options;
  return async (request) => {
    const abort = new AbortController();
    const timeout = Promise.withResolvers<Result<never, FetchFault>>();
    const cancel = clock.after(request.timeoutMs, () => {
      // Settled by the timer itself: a fetch that ignores its signal must not outlive the limit.
      timeout.resolve(fault('timeout', `no whole answer within ${request.timeoutMs} ms`));
      abort.abort();
    });
    try {
      const init = requestInit(request, userAgent, abort.signal);
      const call = answerOf(
        () => fetch(request.url, init),
        answerBytesMax,
        () => abort.abort(),
      );
      return await Promise.race([call, timeout.promise]);
    } finally {
      cancel();
    }
  };
}

function requestInit(
  { method, headers, form, json }: BoundedRequest,
  userAgent: string,
  signal: AbortSignal,
): RequestInit {
  return {
    method,
    signal,
    redirect: 'manual',
    // Every call has a connection of its own: on one that was kept open, a forge that has gone
    // away looks like an answer cut short, and a token call must not be guessed about.
    keepalive: false,
    headers: {
      accept: 'application/json',
      // The limit counts what arrives, so nothing may unfold after it was counted.
      'accept-encoding': 'identity',
      'user-agent': userAgent,
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(form === undefined ? {} : { body: form }),
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  };
}

async function answerOf(
  call: () => Promise<Response>,
  bytesMax: number,
  abort: () => void,
): Promise<Result<BoundedAnswer, FetchFault>> {
  let response: Response;
  try {
    response = await call();
  } catch (error) {
    return connectFault(error);
  }
  const body = await readBody(response, bytesMax);
  if (body.ok) {
    const text = new TextDecoder().decode(body.value);
    return ok({ status: response.status, headers: response.headers, text });
  }
  switch (body.error) {
    case 'too_large':
      // Ends the connection: what is still on its way must not be read for nothing.
      abort();
      return fault('too_large', `the answer has more than ${bytesMax} bytes`);
    case 'aborted':
      return fault('cut', 'the answer ended early');
  }
}

function connectFault(error: unknown): Result<never, FetchFault> {
  const code = codeOf(error);
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return fault('untrusted', `the certificate is not accepted (${code})`);
  }
  return fault('unreachable', `no answer (${code})`);
}

/** Only the error's code or name: its message may repeat the address or the headers. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

function fault(kind: FetchFault['kind'], detail: string): Result<never, FetchFault> {
  return err({ kind, detail });
}
