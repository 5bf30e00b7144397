import { readBody } from '../base/bounded-body.ts';
import { err, ok, type Result } from '../base/result.ts';
import { OAuthError } from './errors.ts';

/** Bytes of a form; a token request with the longest redirect URI is a third of it. */
export const FORM_BYTES_MAX = 16 * 1024;

/** Why a body is not a form. */
export type FormFault = 'wrong_type' | 'too_large' | 'aborted';

/**
 * The parameters of a query or a form. Frameworks take the last of two equal names, others the
 * first: two readers of one request would see different ones, so a repeated name is refused
 * (RFC 6749 section 3.1).
 */
export class Parameters {
  readonly #values: URLSearchParams;

  constructor(encoded: string) {
    this.#values = new URLSearchParams(encoded);
  }

  /**
   * The one value of `name`. A parameter without a value counts as absent (RFC 6749 section 3.1);
   * throws `OAuthError` when it stands twice.
   */
  get(name: string): string | undefined {
    const values = this.#values.getAll(name);
    if (values.length > 1) {
      throw new OAuthError('invalid_request', `the parameter ${name} stands more than once`);
    }
    return values[0] || undefined;
  }

  /** All values of the one parameter that may repeat: `resource` (RFC 8707 section 2). */
  getAll(name: string): readonly string[] {
    return this.#values.getAll(name).filter((value) => value !== '');
  }

  /** The one value of `name`; throws `OAuthError` when it is absent too. */
  require(name: string): string {
    const value = this.get(name);
    if (value === undefined) {
      throw new OAuthError('invalid_request', `the parameter ${name} is missing`);
    }
    return value;
  }
}

/** The query of a request, from the URL itself: a framework's own reading drops repeated names. */
export function queryOf(request: Request): Parameters {
  return new Parameters(new URL(request.url).search);
}

/** The form in the body (RFC 6749 section 3.2); a parameter in the query is never read. */
export async function formOf(request: Request): Promise<Result<Parameters, FormFault>> {
  if (mediaTypeOf(request) !== 'application/x-www-form-urlencoded') return err('wrong_type');
  const body = await readBody(request, FORM_BYTES_MAX);
  if (!body.ok) return err(body.error);
  return ok(new Parameters(new TextDecoder().decode(body.value)));
}

/** The media type without its parameters, lower-case; empty when the header is missing. */
export function mediaTypeOf(request: Request): string {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';');
  return type.trim().toLowerCase();
}

/** The same for the endpoints that answer with an RFC body: throws `OAuthError` (415, 413, 400). */
export async function apiFormOf(request: Request): Promise<Parameters> {
  const form = await formOf(request);
  if (form.ok) return form.value;
  switch (form.error) {
    case 'wrong_type':
      throw new OAuthError(
        'invalid_request',
        'the body must be of type application/x-www-form-urlencoded',
        { status: 415 },
      );
    case 'too_large':
      throw new OAuthError('invalid_request', 'the body is too large', { status: 413 });
    case 'aborted':
      throw new OAuthError('invalid_request', 'the body is not complete');
  }
}
