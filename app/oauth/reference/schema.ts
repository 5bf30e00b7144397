import type { DocumentDecoration } from 'elysia';

/** What the API reference says of one route. */
export type Reference = DocumentDecoration;

/** The part of JSON Schema that these endpoints need (OpenAPI 3.0.3, Schema Object). */
export type Schema =
  | { type: 'string'; description?: string; enum?: string[]; maxLength?: number }
  | { type: 'integer' | 'boolean'; description?: string }
  | { type: 'array'; items: Schema; description?: string }
  | ObjectSchema;

interface ObjectSchema {
  type: 'object';
  properties: Record<string, Schema>;
  required?: string[];
}

/** A text. */
export function text(
  description: string,
  more: { readonly values?: readonly string[]; readonly lengthMax?: number } = {},
): Schema {
  return {
    type: 'string',
    description,
    ...(more.values === undefined ? {} : { enum: [...more.values] }),
    ...(more.lengthMax === undefined ? {} : { maxLength: more.lengthMax }),
  };
}

/** A list of texts. */
export function listOf(description: string): Schema {
  return { type: 'array', items: { type: 'string' }, description };
}

/** An object; what is not in `required` may be missing. */
export function objectOf(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): ObjectSchema {
  // OpenAPI 3.0 takes no empty list here.
  const members = required.length === 0 ? {} : { required: [...required] };
  return { type: 'object', properties: { ...properties }, ...members };
}

/** An answer in JSON. */
export function jsonAnswer(description: string, schema: Schema) {
  return { description, content: { 'application/json': { schema } } };
}

/** An answer that people read. */
export function pageAnswer(description: string) {
  return { description, content: { 'text/html': { schema: text('A page.') } } };
}

/** A request body that is a form. */
export function formBody(schema: Schema) {
  return { required: true, content: { 'application/x-www-form-urlencoded': { schema } } };
}

/** A parameter of the query. */
export function queryParameter(name: string, required: boolean, schema: Schema) {
  return { name, in: 'query' as const, required, schema };
}

/** The error body of RFC 6749 section 5.2, with the codes that the answer can hold. */
export function oauthError(...codes: readonly string[]): Schema {
  return objectOf(
    {
      error: text('The error code (RFC 6749 section 5.2).', { values: codes }),
      error_description: text('One sentence for a developer.'),
    },
    ['error'],
  );
}

/** What a program gets beyond a rate limit. */
export const TOO_MANY = jsonAnswer(
  'Beyond a rate limit of the address or the account; see Retry-After.',
  oauthError('temporarily_unavailable'),
);
