/** A JSON document; what is in it is judged by a validator in the tests. */
export type OpenApiDocument = { readonly [key: string]: unknown };

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

/** The reason phrases of RFC 9110 section 15 for what a route declared without a description. */
const REASONS: Readonly<Record<string, string>> = {
  '200': 'OK.',
  '201': 'Created.',
  '202': 'Accepted.',
  '204': 'No content.',
  '303': 'See other.',
  '400': 'Bad request.',
  '401': 'Unauthorized.',
  '403': 'Forbidden.',
  '404': 'Not found.',
  '405': 'Method not allowed.',
  '500': 'Internal server error.',
  '503': 'Service unavailable.',
};

/** What the generator writes for a route that names no content type; ours all speak JSON. */
const GENERATED_TYPES = ['application/json', 'multipart/form-data', 'text/plain'];

/**
 * Makes valid OpenAPI 3.0.3 of what the generator gives: it writes JSON Schema's `const`, which 3.0
 * does not know, leaves out descriptions that 3.0 requires, and names content types of its own.
 */
export function toOpenApi30(generated: unknown): OpenApiDocument {
  const document = structuredClone(generated) as JsonObject;
  document.openapi = '3.0.3';
  rewrite(document);
  return document;
}

function rewrite(node: Json | undefined): void {
  if (Array.isArray(node)) {
    for (const item of node) rewrite(item);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  if (isObject(node.responses)) describeResponses(node.responses);
  if (isObject(node.content)) keepJson(node.content);
  literalsToEnum(node);
  for (const value of Object.values(node)) rewrite(value);
}

function describeResponses(responses: JsonObject): void {
  for (const [status, response] of Object.entries(responses)) {
    if (isObject(response)) response.description ??= REASONS[status] ?? `Status ${status}.`;
  }
}

function keepJson(content: JsonObject): void {
  const types = Object.keys(content);
  if (types.length !== GENERATED_TYPES.length) return;
  if (!GENERATED_TYPES.every((type) => types.includes(type))) return;
  for (const type of GENERATED_TYPES) if (type !== 'application/json') delete content[type];
}

/** `const` becomes a list of one; a choice between literals becomes a list of all. */
function literalsToEnum(schema: JsonObject): void {
  if (schema.const !== undefined && typeof schema.const !== 'object') {
    schema.enum = [schema.const];
    delete schema.const;
  }
  const choices = schema.anyOf;
  if (!Array.isArray(choices)) return;
  const literals = choices.filter(isObject).map((choice) => choice.const);
  if (literals.length === 0 || !literals.every((literal) => typeof literal === 'string')) return;
  schema.type = 'string';
  schema.enum = literals;
  delete schema.anyOf;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
