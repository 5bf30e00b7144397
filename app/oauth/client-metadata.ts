import { isObject } from '../base/json-object.ts';
import { redirectTarget } from '../base/redirect-target.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { ClientAuthMethod } from '../store/clients.ts';
import { CLIENT_AUTH_METHODS } from './client.ts';
import { OAuthError } from './errors.ts';
import { describeRefused } from './redirect-uri.ts';

/** Redirect URIs of one client; the most that a known client registers is five. */
export const REDIRECT_URIS_MAX = 10;
/** UTF-16 units of a client's name as it is kept and shown. */
export const CLIENT_NAME_LENGTH_MAX = 200;
/** UTF-16 units of the other texts that are kept. */
export const CLIENT_URI_LENGTH_MAX = 2000;
export const APPLICATION_TYPE_LENGTH_MAX = 50;

/** What is kept of a client's own description (RFC 7591 section 2). */
export interface ClientMetadata {
  /** Empty when the client gave none. */
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly authMethod: ClientAuthMethod;
  readonly applicationType: string | null;
  readonly clientUri: string | null;
}

type Fault = OAuthError;

/**
 * Reads client metadata (RFC 7591 section 2). What is not listed in `ClientMetadata` is ignored and
 * not echoed: logo, policy and key URLs are never fetched, so keeping them would only mislead.
 */
export function parseClientMetadata(
  value: unknown,
  redirectAllowlist: readonly string[],
): Result<ClientMetadata, Fault> {
  if (!isObject(value)) return metadataFault('the body must be a JSON object');
  const redirectUris = parseRedirectUris(value.redirect_uris, redirectAllowlist);
  if (!redirectUris.ok) return redirectUris;
  const authMethod = parseAuthMethod(value.token_endpoint_auth_method);
  if (!authMethod.ok) return authMethod;
  const name = parseText(value.client_name, 'client_name', CLIENT_NAME_LENGTH_MAX);
  if (!name.ok) return name;
  const type = parseText(value.application_type, 'application_type', APPLICATION_TYPE_LENGTH_MAX);
  if (!type.ok) return type;
  // A list without what we do is a client that could never use us; more than that is narrowed.
  for (const [name, needed] of NEEDED) {
    const listed = value[name] ?? [needed];
    if (!Array.isArray(listed) || !listed.includes(needed)) {
      return metadataFault(`${name} must be a list with ${needed}`);
    }
  }
  return ok({
    name: name.value,
    redirectUris: redirectUris.value,
    authMethod: authMethod.value,
    applicationType: type.value === '' ? null : type.value,
    clientUri: webPage(value.client_uri),
  });
}

const NEEDED = [
  ['grant_types', 'authorization_code'],
  ['response_types', 'code'],
] as const;

function parseRedirectUris(
  value: unknown,
  allowlist: readonly string[],
): Result<readonly string[], Fault> {
  if (!Array.isArray(value) || value.length === 0) {
    return redirectFault('redirect_uris must be a list of at least one URI');
  }
  if (value.length > REDIRECT_URIS_MAX) {
    return redirectFault(`redirect_uris holds more than ${REDIRECT_URIS_MAX} URIs`);
  }
  const uris = new Set<string>();
  for (const uri of value) {
    if (typeof uri !== 'string' || redirectTarget(uri, allowlist) === undefined) {
      return redirectFault(
        'a redirect URI must be https, http on a loopback host, or a private-use URI that the administrator has allowed, without fragment, user name or wildcard',
        `the redirect URI ${describeRefused(uri)} may not be registered`,
      );
    }
    uris.add(uri);
  }
  return ok([...uris]);
}

/**
 * RFC 7591 makes client_secret_basic the default, but a client that says nothing is one that cannot
 * keep a secret: `none` is registered, and the answer says so.
 */
function parseAuthMethod(value: unknown): Result<ClientAuthMethod, Fault> {
  if (value === undefined || value === null) return ok('none');
  const method = CLIENT_AUTH_METHODS.find((known) => known === value);
  return method === undefined
    ? metadataFault('token_endpoint_auth_method is not one that this server supports')
    : ok(method);
}

/** Texts are shown to people: no controls, and no marks that turn the reading direction. */
function parseText(value: unknown, name: string, lengthMax: number): Result<string, Fault> {
  if (value === undefined || value === null) return ok('');
  if (typeof value !== 'string') return metadataFault(`${name} must be a string`);
  if (value.length > lengthMax) {
    return metadataFault(`${name} is longer than ${lengthMax} characters`);
  }
  const visible = value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, ' ');
  return ok(visible.replace(/\s+/gu, ' ').trim());
}

/** The client's own page, if it is one; anything else is left out rather than refused. */
function webPage(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > CLIENT_URI_LENGTH_MAX) return null;
  return /^https?:\/\//i.test(value) && URL.canParse(value) ? value : null;
}

function redirectFault(description: string, reason = description): Result<never, Fault> {
  return err(new OAuthError('invalid_redirect_uri', description, { reason }));
}

function metadataFault(description: string): Result<never, Fault> {
  return err(new OAuthError('invalid_client_metadata', description));
}
