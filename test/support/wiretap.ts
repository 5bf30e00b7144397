import type { HttpFetch } from '../../app/demo/person.ts';

/** One request and its answer. A stream is not read, so it has no body here. */
export interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly requestHeaders: Headers;
  readonly requestBody: string;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A `fetch` that remembers everything that went through it. */
export interface Wiretap {
  readonly fetch: HttpFetch;
  readonly exchanges: readonly Exchange[];
  /** Every value that travelled under one of these names, in whatever way, with its name. */
  valuesOf(names: readonly string[]): Map<string, string>;
}

/** `through` is what really asks. */
export function createWiretap(through: HttpFetch = fetch): Wiretap {
  const exchanges: Exchange[] = [];
  return {
    exchanges,
    fetch: async (url, init = {}) => {
      const response = await through(url, init);
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
      exchanges.push({
        method: init.method ?? 'GET',
        url: new URL(url),
        requestHeaders: new Headers(init.headers),
        requestBody: init.body === undefined || init.body === null ? '' : String(init.body),
        status: response.status,
        headers: response.headers,
        body: isStream === true ? '' : await response.clone().text(),
      });
      return response;
    },
    valuesOf(names) {
      const values = new Map<string, string>();
      for (const exchange of exchanges) {
        for (const [name, value] of namedValues(exchange)) {
          if (names.includes(name) && value !== '') values.set(value, name);
        }
      }
      return values;
    },
  };
}

type Named = readonly [name: string, value: string];

/** Parameters of URLs, of redirects and of forms; members of JSON; cookies; fields of pages. */
function namedValues({ url, headers, requestBody, requestHeaders, body }: Exchange): Named[] {
  const location = headers.get('location');
  const refresh = headers.get('refresh')?.replace(/^[^=]*=/, '');
  const next = [location, refresh].flatMap((text) =>
    text === null || text === undefined ? [] : [...new URL(text, url).searchParams],
  );
  const cookies = headers.getSetCookie().map((cookie) => pair(cookie.split(';')[0] ?? ''));
  const sent = (requestHeaders.get('cookie') ?? '').split('; ').map(pair);
  const fields = [...body.matchAll(/name="([^"]+)" value="([^"]+)"/g)].map(
    ([, name = '', value = '']): Named => [name, value],
  );
  return [
    ...url.searchParams,
    ...next,
    ...new URLSearchParams(requestBody),
    ...cookies,
    ...sent,
    ...fields,
    ...headers,
    ...members(body),
    ...members(requestBody),
  ];
}

function pair(text: string): Named {
  const split = text.indexOf('=');
  return [text.slice(0, split), text.slice(split + 1)];
}

function members(text: string): Named[] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).map(([name, member]): Named => [name, String(member)]);
  } catch {
    return [];
  }
}
