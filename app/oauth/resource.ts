import { OAuthError } from './errors.ts';
import type { Parameters } from './parameters.ts';

/** The one protected resource behind this authorization server, as its metadata writes it. */
export function resourceOf(publicOrigin: string): string {
  return `${publicOrigin}/mcp`;
}

/**
 * RFC 8707 section 2: the audience that a request names must be ours; a request that names none
 * means our only one. Clients write it as the exact URL, with a slash at the end, or as the origin,
 * and may write scheme and host in capitals (RFC 3986 section 6.2.2.1); nothing else is equal.
 * Returns the resource as it is kept; throws `OAuthError` invalid_target.
 */
export function targetResource(parameters: Parameters, publicOrigin: string): string {
  const resource = resourceOf(publicOrigin);
  const accepted = new Set([publicOrigin, resource]);
  for (const value of parameters.getAll('resource')) {
    if (!accepted.has(lowerCaseOrigin(value).replace(/\/$/, ''))) {
      throw new OAuthError('invalid_target', 'the resource is not one of this server');
    }
  }
  return resource;
}

function lowerCaseOrigin(url: string): string {
  return url.replace(/^[^:/?#]+:\/\/[^/?#]*/, (origin) => origin.toLowerCase());
}
