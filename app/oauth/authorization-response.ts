import { NO_STORE, type OAuthError } from './errors.ts';

/** Where an authorization response goes, and what every one carries. */
export interface ResponseTarget {
  readonly redirectUri: string;
  /** The client's `state`, given back as it came. */
  readonly state: string | null;
  /** RFC 9207: tells the client which server has answered, so that no other can stand in. */
  readonly issuer: string;
}

/** The URL of a successful answer (RFC 6749 section 4.1.2). */
export function codeResponseUrl(target: ResponseTarget, code: string): string {
  return withParameters(target, { code });
}

/** The URL of an error answer (RFC 6749 section 4.1.2.1). */
export function errorResponseUrl(target: ResponseTarget, error: OAuthError): string {
  return withParameters(target, { error: error.code, error_description: error.message });
}

/**
 * 303: whatever the browser sent here, it comes with GET and without its body (OAuth 2.1
 * section 7.5.3). The URL may hold a code, so nothing keeps the answer.
 */
export function seeOther(url: string): Response {
  return new Response(null, {
    status: 303,
    headers: { ...NO_STORE, location: url, 'referrer-policy': 'same-origin' },
  });
}

/** Appended to the text: a URL parser would rewrite the URI that was compared letter by letter. */
function withParameters(target: ResponseTarget, own: Record<string, string>): string {
  const parameters = new URLSearchParams(own);
  if (target.state !== null) parameters.set('state', target.state);
  parameters.set('iss', target.issuer);
  const joint = target.redirectUri.includes('?') ? '&' : '?';
  return `${target.redirectUri}${joint}${parameters}`;
}
