const TAGS = ['MCP'];
const RPC_ERROR_CONTENT = {
  'application/json': {
    schema: {
      type: 'object' as const,
      required: ['jsonrpc', 'id', 'error'],
      properties: {
        jsonrpc: { type: 'string' as const, enum: ['2.0'] },
        id: { oneOf: [{ type: 'string' as const }, { type: 'integer' as const }], nullable: true },
        error: {
          type: 'object' as const,
          required: ['code', 'message'],
          properties: {
            code: { type: 'integer' as const },
            message: { type: 'string' as const },
          },
        },
      },
    },
  },
};

function problem(description: string) {
  return { description, content: RPC_ERROR_CONTENT };
}

const header = (name: string, description: string) => ({
  ...{ name, description, required: false, in: 'header' as const },
  schema: { type: 'string' as const },
});

const VERSION_HEADER = header(
  'MCP-Protocol-Version',
  'The protocol version agreed in `initialize`; the session knows it when the header is absent.',
);

const SESSION_HEADER = header(
  'Mcp-Session-Id',
  'The session, from the answer to `initialize`; needed by everything but `initialize`.',
);

const REFUSALS = {
  400: problem('Malformed credentials, header or message; no session header.'),
  401: problem('No token, or one that is not good here; `WWW-Authenticate` says where to go.'),
  403: problem(
    'A larger scope is needed: `WWW-Authenticate` has `insufficient_scope` and all that is needed (POST only). Or the `Origin` is not allowed, or the `Host` is not the public one.',
  ),
  404: problem('The session is unknown, has ended, or belongs to someone else: start a new one.'),
  429: problem('Beyond a rate limit of the account or the address; `Retry-After` says when.'),
  503: problem('Not now (a limit, the store, Forgejo, a stop); `Retry-After` says when.'),
};

/** What the API reference says of POST. */
export const POST_DETAIL = {
  summary: 'Send one MCP message (Streamable HTTP)',
  description:
    'One JSON-RPC request, notification or response; in sessions of 2025-03-26 also an array of ' +
    'them. `initialize` opens a session and answers its id in `Mcp-Session-Id`. An answer that takes ' +
    'more than a second, or that something else comes before, is an event stream to a client that ' +
    'accepts one.',
  tags: TAGS,
  parameters: [SESSION_HEADER, VERSION_HEADER],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: {
          type: 'object' as const,
          required: ['jsonrpc'],
          properties: {
            jsonrpc: { type: 'string' as const, enum: ['2.0'] },
            id: { oneOf: [{ type: 'string' as const }, { type: 'integer' as const }] },
            method: { type: 'string' as const, example: 'tools/list' },
            params: { type: 'object' as const },
          },
        },
      },
    },
  },
  responses: {
    200: {
      description: 'The answer to a request.',
      content: {
        'application/json': { schema: { type: 'object' as const } },
        'text/event-stream': { schema: { type: 'string' as const } },
      },
    },
    202: { description: 'A notification or response was accepted.' },
    ...REFUSALS,
    408: problem('The message took too long to arrive.'),
    413: problem('The message is larger than accepted.'),
    415: problem('The body is not `application/json`.'),
    502: problem('The program that serves sessions is missing or broken.'),
  },
};

/** What the API reference says of GET. */
export const GET_DETAIL = {
  summary: 'Listen to a session, or resume a stream',
  description:
    'An event stream with what the program of the session says outside of calls. With ' +
    '`Last-Event-ID`, the rest of the stream that this event was part of. A second one takes the ' +
    'stream over.',
  tags: TAGS,
  parameters: [
    SESSION_HEADER,
    VERSION_HEADER,
    header('Last-Event-ID', 'The last event that the client has of the stream that it lost.'),
  ],
  responses: {
    200: {
      description: 'The events.',
      content: { 'text/event-stream': { schema: { type: 'string' as const } } },
    },
    204: { description: 'The stream has ended, and the client has all of it.' },
    ...REFUSALS,
    405: problem('No session header: without a session there is no stream.'),
    406: problem('`Accept` does not list `text/event-stream`.'),
  },
};

/** What the API reference says of DELETE. */
export const DELETE_DETAIL = {
  summary: 'End a session',
  description: 'Ends the session and its process; calls under way get a JSON-RPC error.',
  tags: TAGS,
  parameters: [SESSION_HEADER, VERSION_HEADER],
  responses: { 204: { description: 'The session has ended.' }, ...REFUSALS },
};
