import type { AnyElysia } from 'elysia';
import { readBody } from '../base/bounded-body.ts';
import { digestOf, newToken } from '../base/secret.ts';
import type { Client, Registration } from '../store/clients.ts';
import { scopeText } from '../tools/scopes.ts';
import { parseClientMetadata } from './client-metadata.ts';
import { logRefusal, programEndpoint, unavailable } from './endpoint.ts';
import { NO_STORE, OAuthError } from './errors.ts';
import { mediaTypeOf } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { REGISTER_DETAIL } from './reference/registration.ts';

type RegisterParts = Pick<
  AuthorizationServerParts,
  | 'store'
  | 'random'
  | 'log'
  | 'metrics'
  | 'limits'
  | 'rateLimits'
  | 'redirectAllowlist'
  | 'publicOrigin'
  | 'scopes'
  | 'allowedOrigins'
>;

/** Bytes of a registration; ten redirect URIs of full length are a third of it. */
export const REGISTRATION_BYTES_MAX = 64 * 1024;

/** Characters of entropy enough that nobody meets another's id; the id itself is no secret. */
const CLIENT_ID_BYTES = 16;

/** Dynamic client registration (RFC 7591 section 3). */
export function registrationEndpoint(parts: RegisterParts): AnyElysia {
  return programEndpoint(parts, {
    paths: ['/oauth/register', '/register'],
    limit: 'register',
    detail: REGISTER_DETAIL,
    run: (request) => register(request, parts),
    onRefused(error) {
      parts.metrics.clientsRegistered.inc({ outcome: 'refused' });
      logRefusal(parts.log, 'client.refused', error);
    },
  });
}

async function register(request: Request, parts: RegisterParts): Promise<Response> {
  const metadata = parseClientMetadata(await jsonOf(request), parts.redirectAllowlist());
  if (!metadata.ok) throw metadata.error;
  const secret =
    metadata.value.authMethod === 'none' ? undefined : `fjmcp_cs_${newToken(parts.random)}`;
  const registration = await parts.store.clients.register(
    {
      // The prefix keeps it apart from client ids that are URLs (client id metadata documents).
      id: `dcr_${newToken(parts.random, CLIENT_ID_BYTES)}`,
      ...metadata.value,
      secretDigest: secret === undefined ? null : digestOf(secret),
    },
    parts.limits.clientsMax,
  );
  const client = registered(registration, parts);
  parts.metrics.clientsRegistered.inc({ outcome: registration.kind });
  parts.log.info(`client.${registration.kind}`, { client: client.id, name: client.name });
  return Response.json(clientInformation(client, secret, parts), {
    status: 201,
    headers: NO_STORE,
  });
}

function registered(registration: Registration, parts: RegisterParts): Client {
  if (registration.kind !== 'full') return registration.client;
  parts.metrics.limitsReached.inc({ limit: 'MAX_CLIENTS' });
  throw unavailable('no more clients can be registered now', 'MAX_CLIENTS is reached');
}

/** RFC 7591 section 3.2.1: the client as it is registered, which may be less than it asked for. */
function clientInformation(
  client: Client,
  secret: string | undefined,
  { scopes }: Pick<RegisterParts, 'scopes'>,
) {
  return {
    client_id: client.id,
    client_id_issued_at: Math.floor(client.createdAt / 1000),
    ...(secret === undefined ? {} : { client_secret: secret, client_secret_expires_at: 0 }),
    redirect_uris: client.redirectUris,
    token_endpoint_auth_method: client.authMethod,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    // What it may ask for; a person decides what it gets.
    scope: scopeText(scopes.max()),
    ...(client.name === '' ? {} : { client_name: client.name }),
    ...(client.applicationType === null ? {} : { application_type: client.applicationType }),
    ...(client.clientUri === null ? {} : { client_uri: client.clientUri }),
  };
}

async function jsonOf(request: Request): Promise<unknown> {
  if (mediaTypeOf(request) !== 'application/json') {
    throw metadataError('the body must be of type application/json', 415);
  }
  const body = await readBody(request, REGISTRATION_BYTES_MAX);
  if (!body.ok) {
    if (body.error === 'too_large') throw metadataError('the body is too large', 413);
    throw metadataError('the body is not complete', 400);
  }
  try {
    return JSON.parse(new TextDecoder().decode(body.value));
  } catch {
    throw metadataError('the body is not JSON', 400);
  }
}

function metadataError(description: string, status: number): OAuthError {
  return new OAuthError('invalid_client_metadata', description, { status });
}
