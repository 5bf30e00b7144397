import { CLIENT_AUTH_METHODS } from '../client.ts';
import {
  jsonAnswer,
  listOf,
  oauthError,
  objectOf,
  type Reference,
  TOO_MANY,
  text,
} from './schema.ts';

const CLIENT_METADATA = {
  redirect_uris: listOf(
    'One to ten URIs: https, http on a loopback host, or a private-use URI that is allowed here.',
  ),
  client_name: text('Shown to people as what the client calls itself.', { lengthMax: 200 }),
  token_endpoint_auth_method: text('none when absent.', {
    values: CLIENT_AUTH_METHODS,
  }),
  grant_types: listOf('Must hold authorization_code when present.'),
  response_types: listOf('Must hold code when present.'),
  application_type: text('Kept as it is.', { lengthMax: 50 }),
  client_uri: text('Kept when it is a web address; never fetched.'),
  scope: text('Ignored on input: there is one scope.'),
};

export const REGISTER_DETAIL = {
  tags: ['Registration'],
  summary: 'Register a client (RFC 7591)',
  description: 'An identical public registration gets the client id of the first one.',
  requestBody: {
    required: true,
    content: { 'application/json': { schema: objectOf(CLIENT_METADATA, ['redirect_uris']) } },
  },
  responses: {
    201: jsonAnswer(
      'The client as it is registered, which may be less than it asked for.',
      objectOf(
        {
          client_id: text('The client id.'),
          client_id_issued_at: { type: 'integer', description: 'Seconds since the epoch.' },
          client_secret: text('Only for a client that authenticates with a secret; shown once.'),
          client_secret_expires_at: { type: 'integer', description: '0: never.' },
          ...CLIENT_METADATA,
        },
        ['client_id', 'client_id_issued_at', 'redirect_uris', 'token_endpoint_auth_method'],
      ),
    ),
    400: jsonAnswer(
      'The metadata is refused.',
      oauthError('invalid_redirect_uri', 'invalid_client_metadata'),
    ),
    413: jsonAnswer('The body is too large.', oauthError('invalid_client_metadata')),
    415: jsonAnswer('The body is not JSON.', oauthError('invalid_client_metadata')),
    429: TOO_MANY,
    503: jsonAnswer(
      'No more clients can be kept now; see Retry-After.',
      oauthError('temporarily_unavailable'),
    ),
  },
} satisfies Reference;
