import { SCOPES } from '../../tools/scopes.ts';
import { jsonAnswer, listOf, objectOf, type Reference, text } from './schema.ts';

export const METADATA_DETAIL = {
  tags: ['Discovery'],
  summary: 'Authorization server metadata (RFC 8414)',
  responses: {
    200: jsonAnswer(
      'The metadata; readable from every origin.',
      objectOf(
        {
          issuer: text('The issuer, without a trailing slash.'),
          authorization_endpoint: text('Where people are sent.'),
          token_endpoint: text('Where codes and refresh tokens are exchanged.'),
          registration_endpoint: text('Where clients register.'),
          revocation_endpoint: text('Where tokens are revoked.'),
          response_types_supported: listOf('code'),
          response_modes_supported: listOf('query'),
          grant_types_supported: listOf('authorization_code, refresh_token'),
          token_endpoint_auth_methods_supported: listOf('How clients prove who they are.'),
          revocation_endpoint_auth_methods_supported: listOf('The same for revocation.'),
          code_challenge_methods_supported: listOf('S256'),
          scopes_supported: listOf(
            'The scopes that a connection usually needs, and offline_access.',
          ),
          scope_descriptions: objectOf(
            Object.fromEntries(SCOPES.map((scope) => [scope, text('What the scope allows.')])),
          ),
          authorization_response_iss_parameter_supported: {
            type: 'boolean',
            description: 'Every authorization response carries iss (RFC 9207).',
          },
          protected_resources: listOf('The resource behind this server (RFC 9728).'),
          service_documentation: text('This reference.'),
        },
        ['issuer', 'authorization_endpoint', 'token_endpoint', 'response_types_supported'],
      ),
    ),
  },
} satisfies Reference;
