import { SCOPES } from '../../tools/scopes.ts';
import {
  formBody,
  listOf,
  objectOf,
  pageAnswer,
  queryParameter,
  type Reference,
  text,
} from './schema.ts';

const TOO_MANY_PAGE = pageAnswer(
  'Beyond a rate limit of the address or the account; see Retry-After.',
);

export const AUTHORIZE_DETAIL = {
  tags: ['Authorization'],
  summary: 'Ask a person for access (RFC 6749 section 4.1.1)',
  description:
    'Opened in a browser. No parameter but resource may stand twice. PKCE with S256 is required.',
  parameters: [
    queryParameter('response_type', true, text('code', { values: ['code'] })),
    queryParameter('client_id', true, text('A registered client.')),
    queryParameter(
      'redirect_uri',
      false,
      text('A registered URI; may be left out when there is only one.'),
    ),
    queryParameter('code_challenge', true, text('RFC 7636 section 4.2.')),
    queryParameter('code_challenge_method', true, text('S256', { values: ['S256'] })),
    queryParameter('state', false, text('Given back as it came; at most 4096 characters.')),
    queryParameter(
      'scope',
      false,
      text(
        'forgejo:read, forgejo:write or forgejo:delete, each with those before it. What the page proposes: the person chooses, and the token answer tells it. Unknown words are passed over.',
      ),
    ),
    queryParameter('resource', false, text('The address of /mcp, or this origin (RFC 8707).')),
    queryParameter('response_mode', false, text('query', { values: ['query'] })),
  ],
  responses: {
    200: pageAnswer('The consent page. Sets the cookie that names the browser.'),
    303: {
      description:
        'Back to the redirect URI with error, state and iss: invalid_request, unsupported_response_type, invalid_target, temporarily_unavailable.',
    },
    400: pageAnswer('The client or its redirect URI is unknown: a page, never a redirect.'),
    429: TOO_MANY_PAGE,
    503: pageAnswer('Nothing can be kept now.'),
  },
} satisfies Reference;

const DECISION_FIELDS = {
  request: text('Names the authorization request.'),
  approval: text('One-time value of the page.'),
  decision: text('The button.', { values: ['allow', 'deny'] }),
};

const REQUIRED = ['request', 'approval', 'decision'];

const DECISION = formBody(objectOf(DECISION_FIELDS, REQUIRED));

const CONSENT = formBody(
  objectOf(
    {
      ...DECISION_FIELDS,
      scope: text('What is allowed; needed with allow.', { values: SCOPES }),
      toolset: listOf('The sets of tools, one field each; needed with allow.'),
      targets: text('Repositories and organisations, one a line; everywhere when it is empty.'),
    },
    REQUIRED,
  ),
);

const DECISION_ERRORS = {
  400: pageAnswer('The sign-in is over, or the form cannot be read.'),
  403: pageAnswer('The form came from another site or another browser.'),
  413: pageAnswer('The body is too large.'),
  415: pageAnswer('The body is not a form.'),
  429: TOO_MANY_PAGE,
  503: pageAnswer('Nothing can be kept now.'),
};

export const CONSENT_DETAIL = {
  tags: ['Authorization'],
  summary: "Take a person's answer to the consent page",
  description: 'Sent by the page itself, from this origin, in the browser that opened it.',
  requestBody: CONSENT,
  responses: {
    200: pageAnswer(
      'Goes on to Forgejo, or back to the client with access_denied, by a Refresh header.',
    ),
    ...DECISION_ERRORS,
  },
} satisfies Reference;

export const CONFIRM_DETAIL = {
  tags: ['Authorization'],
  summary: "Take a person's answer to the page that names the account",
  description: 'Sent by the page itself, from this origin, in the browser that opened it.',
  requestBody: DECISION,
  responses: {
    200: pageAnswer('Goes back to the client with code or access_denied, by a Refresh header.'),
    ...DECISION_ERRORS,
  },
} satisfies Reference;

export const CALLBACK_DETAIL = {
  tags: ['Authorization'],
  summary: 'Come back from Forgejo',
  description: 'The redirect URI of this server at Forgejo. Good once, and in the same browser.',
  parameters: [
    queryParameter('state', true, text('As it was sent to Forgejo.')),
    queryParameter('code', false, text("Forgejo's code.")),
    queryParameter('error', false, text("Forgejo's error.")),
  ],
  responses: {
    200: pageAnswer(
      'Names the account that came back and asks, when it is not the one shown before; or goes on to a private-use redirect URI.',
    ),
    303: {
      description:
        'To the redirect URI of the client with code, or access_denied as error, and state and iss.',
    },
    400: pageAnswer('The sign-in is over, or Forgejo did not accept it.'),
    403: pageAnswer('Another browser, or an account that may not sign in.'),
    502: pageAnswer('This server is not set up correctly at Forgejo.'),
    429: TOO_MANY_PAGE,
    503: pageAnswer('Forgejo, or the store of this server, is away; with a way to try again.'),
  },
} satisfies Reference;
