import { createHash, randomUUID } from 'node:crypto';

export interface ReferenceFaults {
  /** The redirect names another issuer (RFC 9207). */
  readonly otherIssuer?: boolean;
  /** The token answer may be cached (RFC 6749 section 5.1). */
  readonly cacheable?: boolean;
}

/**
 * The plainest authorization server that the official suite accepts: one login form, one grant
 * type. It exists to judge the judges, with faults that they must see.
 */
export function startReferenceAuthorizationServer(faults: ReferenceFaults = {}) {
  const codes = new Map<string, { readonly challenge: string; readonly redirectUri: string }>();
  let issuer = '';
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    routes: {
      '/.well-known/oauth-authorization-server': () =>
        Response.json({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          response_types_supported: ['code'],
          code_challenge_methods_supported: ['S256'],
          token_endpoint_auth_methods_supported: ['none'],
        }),
      '/authorize': {
        GET: () =>
          new Response(
            '<title>Login</title><form method="post"><input name="user_name"><input name="password"></form>',
            { headers: { 'content-type': 'text/html' } },
          ),
        POST: async (request) => {
          const form = await request.formData();
          if (form.get('password') !== 'right') return new Response('wrong', { status: 403 });
          const asked = new URL(request.url).searchParams;
          const redirectUri = asked.get('redirect_uri') ?? '';
          const code = randomUUID();
          codes.set(code, { challenge: asked.get('code_challenge') ?? '', redirectUri });
          const location = new URL(redirectUri);
          location.searchParams.set('code', code);
          location.searchParams.set('state', asked.get('state') ?? '');
          location.searchParams.set('iss', faults.otherIssuer ? 'http://elsewhere' : issuer);
          return new Response(null, { status: 302, headers: { location: location.href } });
        },
      },
      '/token': async (request) => {
        const form = new URLSearchParams(await request.text());
        const code = codes.get(form.get('code') ?? '');
        const verifier = form.get('code_verifier') ?? '';
        const challenge = createHash('sha256').update(verifier).digest('base64url');
        if (code?.challenge !== challenge || code.redirectUri !== form.get('redirect_uri')) {
          return Response.json({ error: 'invalid_grant' }, { status: 400 });
        }
        return Response.json(
          { access_token: randomUUID(), token_type: 'Bearer' },
          { headers: faults.cacheable ? {} : { 'cache-control': 'no-store' } },
        );
      },
    },
  });
  issuer = `http://127.0.0.1:${server.port}`;
  return { issuer, stop: () => server.stop(true) };
}
