/** What one handler of the demo forge gets to see. */
export interface DemoRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  /** The body, at most `BODY_BYTES_MAX` long; the listener refuses more. */
  readonly body: string;
}

export const BODY_BYTES_MAX = 1024 * 1024;

/** 303, as Forgejo redirects; `cookies` are whole `Set-Cookie` values. */
export function redirect(location: string, cookies: readonly string[] = []): Response {
  return withCookies(new Response(null, { status: 303, headers: { location } }), cookies);
}

export function html(status: number, body: string, cookies: readonly string[] = []): Response {
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' };
  return withCookies(new Response(body, { status, headers }), cookies);
}

export function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json;charset=utf-8' },
  });
}

export function plain(status: number, body: string, headers: Record<string, string> = {}) {
  return new Response(body, { status, headers: { 'content-type': 'text/plain', ...headers } });
}

export function cookie(name: string, value: string): string {
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax`;
}

export function expiredCookie(name: string): string {
  return `${name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0`;
}

export function readCookie(headers: Headers, name: string): string | undefined {
  for (const pair of (headers.get('cookie') ?? '').split(';')) {
    const split = pair.indexOf('=');
    if (split > 0 && pair.slice(0, split).trim() === name) return pair.slice(split + 1).trim();
  }
  return undefined;
}

/** The fields of a form or of a JSON object; Forgejo takes both at its token endpoint. */
export function readFields(request: DemoRequest): URLSearchParams {
  const type = request.headers.get('content-type') ?? '';
  if (type.startsWith('application/x-www-form-urlencoded'))
    return new URLSearchParams(request.body);
  const value = type.startsWith('application/json') ? readJson(request.body) : undefined;
  const fields = new URLSearchParams();
  for (const [name, field] of Object.entries(value ?? {})) fields.set(name, String(field));
  return fields;
}

export function readJson(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** The two halves of HTTP Basic (RFC 7617). */
export function readBasic(headers: Headers): { user: string; password: string } | undefined {
  const value = headers.get('authorization')?.match(/^basic\s+(\S+)$/i)?.[1];
  if (value === undefined) return undefined;
  const clear = Buffer.from(value, 'base64').toString();
  const split = clear.indexOf(':');
  return split < 0 ? undefined : { user: clear.slice(0, split), password: clear.slice(split + 1) };
}

function withCookies(response: Response, cookies: readonly string[]): Response {
  for (const value of cookies) response.headers.append('set-cookie', value);
  return response;
}
