import { digestOf, newToken, systemRandom } from '../../app/base/secret.ts';

/** What a flood asks for, again and again; `nothing` is the time without one. */
export const FLOODS = ['register', 'authorize', 'bad_token'] as const;

export type FloodKind = (typeof FLOODS)[number];

/** Where a flood goes. */
export interface FloodTarget {
  /** The broker's own address, without a slash at its end. */
  readonly origin: string;
  /** The address that the flood comes from, as the proxy in front would tell it. */
  readonly address: string;
  /** A client that is registered, for authorization requests that would be good. */
  readonly clientId: string;
  readonly redirectUri: string;
}

/**
 * The bytes of one request. Each would cost the broker what a good one costs, if it were let in: a
 * client that is not registered yet, a sign-in that begins, a token that is looked up in the store.
 */
export function floodRequest(kind: FloodKind, target: FloodTarget): string {
  switch (kind) {
    case 'register': {
      const body = JSON.stringify({
        client_name: `flood ${newToken(systemRandom)}`,
        redirect_uris: [target.redirectUri],
      });
      return request('POST /oauth/register', target, 'content-type: application/json', body);
    }
    case 'authorize': {
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: target.clientId,
        redirect_uri: target.redirectUri,
        code_challenge: digestOf('a verifier'),
        code_challenge_method: 'S256',
        state: newToken(systemRandom),
      });
      return request(`GET /oauth/authorize?${query}`, target, 'accept: text/html', '');
    }
    case 'bad_token': {
      const token = `fjmcp_at_${newToken(systemRandom)}`;
      const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
      return request('POST /mcp', target, `authorization: Bearer ${token}`, body);
    }
  }
}

function request(line: string, target: FloodTarget, header: string, body: string): string {
  const head = [
    `${line} HTTP/1.1`,
    `host: ${new URL(target.origin).host}`,
    `x-forwarded-for: ${target.address}`,
    `content-length: ${body.length}`,
    header,
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
