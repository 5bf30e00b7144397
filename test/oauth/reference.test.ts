import { describe, expect, it } from 'bun:test';
import { Elysia } from 'elysia';
import { authorizationServer } from '../../app/oauth/authorization-server.ts';
import { TestServer } from './harness.ts';

interface Detail {
  readonly hide?: boolean;
  readonly summary?: string;
  readonly requestBody?: { readonly content: object };
  readonly responses?: Record<string, { readonly description: string }>;
}

const routes = new Elysia()
  .use(authorizationServer(new TestServer().parts))
  .routes.map(({ method, path, hooks }) => {
    const detail: Detail = hooks.detail ?? {};
    return { name: `${method} ${path}`, method, detail };
  });
const shown = routes.filter(({ detail }) => detail.hide !== true);

describe('the API reference of the authorization server', () => {
  it('names every public route and its second door', () => {
    expect(shown.map(({ name }) => name).sort()).toEqual([
      'GET /.well-known/oauth-authorization-server',
      'GET /authorize',
      'GET /oauth/authorize',
      'GET /oauth/callback',
      'POST /oauth/confirm',
      'POST /oauth/consent',
      'POST /oauth/register',
      'POST /oauth/revoke',
      'POST /oauth/token',
      'POST /register',
      'POST /revoke',
      'POST /token',
    ]);
  });

  it('says of each what it takes and what it answers, refusals too', () => {
    for (const { name, method, detail } of shown) {
      expect({ name, summary: detail.summary }).toEqual({ name, summary: expect.any(String) });
      if (method === 'POST') expect(Object.keys(detail.requestBody?.content ?? {})).toHaveLength(1);
      const statuses = Object.keys(detail.responses ?? {});
      expect(statuses.length).toBeGreaterThan(0);
      if (!name.includes('.well-known'))
        expect(statuses).toEqual(expect.arrayContaining(['429', '503']));
      for (const response of Object.values(detail.responses ?? {})) {
        expect(response.description.length).toBeGreaterThan(5);
      }
    }
  });
});
