import {
  formBody,
  jsonAnswer,
  oauthError,
  objectOf,
  type Reference,
  TOO_MANY,
  text,
} from './schema.ts';

const BODY_ERRORS = {
  413: jsonAnswer('The body is too large.', oauthError('invalid_request')),
  415: jsonAnswer('The body is not a form.', oauthError('invalid_request')),
  429: TOO_MANY,
  503: jsonAnswer(
    'Nothing can be kept now; see Retry-After.',
    oauthError('temporarily_unavailable'),
  ),
};

const INVALID_CLIENT = jsonAnswer(
  'The client is unknown or did not prove who it is. With a challenge when Basic was tried.',
  oauthError('invalid_client'),
);

const CLIENT_CREDENTIALS = {
  client_id: text('The client, unless it authenticates by HTTP Basic.'),
  client_secret: text('For client_secret_post.'),
};

export const TOKEN_DETAIL = {
  tags: ['Tokens'],
  summary: 'Exchange a code or a refresh token (RFC 6749 section 3.2)',
  description:
    'Refresh tokens rotate. A lost answer can be asked for again until one of its tokens is used; after that the older refresh token ends the grant.',
  requestBody: formBody(
    objectOf(
      {
        grant_type: text('The grant.', { values: ['authorization_code', 'refresh_token'] }),
        code: text('For authorization_code.'),
        redirect_uri: text('As in the authorization request.'),
        code_verifier: text('For authorization_code (RFC 7636 section 4.1).'),
        refresh_token: text('For refresh_token.'),
        scope: text('Ignored: there is one scope.'),
        resource: text('The address of /mcp, or this origin (RFC 8707).'),
        ...CLIENT_CREDENTIALS,
      },
      ['grant_type'],
    ),
  ),
  responses: {
    200: jsonAnswer(
      'The tokens.',
      objectOf(
        {
          access_token: text('Opaque.'),
          token_type: text('Bearer'),
          expires_in: { type: 'integer', description: 'Seconds.' },
          refresh_token: text('Opaque; replaces the one that was sent.'),
          scope: text('What was granted.'),
        },
        ['access_token', 'token_type', 'expires_in', 'refresh_token', 'scope'],
      ),
    ),
    400: jsonAnswer(
      'The request is refused.',
      oauthError('invalid_request', 'invalid_grant', 'unsupported_grant_type', 'invalid_target'),
    ),
    401: INVALID_CLIENT,
    ...BODY_ERRORS,
  },
} satisfies Reference;

export const REVOKE_DETAIL = {
  tags: ['Tokens'],
  summary: 'Revoke a token (RFC 7009)',
  description: 'An access or refresh token ends the whole connection it belongs to.',
  requestBody: formBody(
    objectOf(
      {
        token: text('An access or a refresh token.'),
        token_type_hint: text('Only a hint; a wrong one changes nothing.'),
        ...CLIENT_CREDENTIALS,
      },
      ['token'],
    ),
  ),
  responses: {
    200: { description: 'Revoked, or never valid, or not a token of this client. No body.' },
    400: jsonAnswer('The request is refused.', oauthError('invalid_request')),
    401: INVALID_CLIENT,
    ...BODY_ERRORS,
  },
} satisfies Reference;
