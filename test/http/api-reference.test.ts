import { beforeAll, describe, expect, it } from 'bun:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Elysia, t } from 'elysia';
import { apiReference } from '../../app/http/api-reference.ts';

/** Routes declared in every way that the plugins use: schemas, literals, written details, hidden. */
const routes = () =>
  new Elysia()
    .get('/healthz', () => ({ status: 'ok' as const }), {
      response: { 200: t.Object({ status: t.Literal('ok') }) },
    })
    .get('/readyz', ({ status }) => status(503, { check: 'a' as const }), {
      response: { 503: t.Object({ check: t.Union([t.Literal('a'), t.Literal('b')]) }) },
    })
    .get('/.well-known/oauth-authorization-server', () => 'x', {
      detail: { responses: { 200: { description: 'The metadata.' } } },
    })
    .post('/undescribed', () => 'x')
    .get('/canary-hidden', () => 'x', { detail: { hide: true } })
    .all('/healthz', () => 'x', { detail: { hide: true } });

const build = () =>
  apiReference({ routes, publicOrigin: 'https://mcp.example.org', version: '1.2.3' });

let app: Awaited<ReturnType<typeof build>>;

const ask = (path: string, method = 'GET') =>
  app.handle(new Request(`http://localhost${path}`, { method }));

beforeAll(async () => {
  app = await build();
});

describe('OpenAPI document', () => {
  it('is valid OpenAPI 3.0 for a validator that is not ours', async () => {
    const response = await ask('/docs/openapi.json');
    expect(response.headers.get('content-type')).toBe('application/json');
    const document = await response.json();
    expect(document.openapi).toBe('3.0.3');
    const outcome = await new Validator().validate(document);
    expect(outcome).toMatchObject({ valid: true });
    const undescribed = { '/x': { get: { responses: { 200: {} } } } };
    const refused = await new Validator().validate({ ...document, paths: undescribed });
    expect(refused).toMatchObject({ valid: false });
  });

  it('names every public route, also one whose path looks like a file, and no hidden one', async () => {
    const { paths, servers, info } = await (await ask('/docs/openapi.json')).json();
    expect(Object.keys(paths).toSorted()).toEqual([
      '/.well-known/oauth-authorization-server',
      '/docs',
      '/docs/openapi.json',
      '/healthz',
      '/readyz',
      '/undescribed',
    ]);
    expect(Object.keys(paths['/healthz'])).toEqual(['get']);
    expect(servers).toEqual([{ url: 'https://mcp.example.org' }]);
    expect(info.version).toBe('1.2.3');
  });

  it('writes literals as OpenAPI 3.0 knows them, and JSON as the only type of a schema', async () => {
    const { paths } = await (await ask('/docs/openapi.json')).json();
    const health = paths['/healthz'].get.responses[200];
    expect(health.description).toBe('OK.');
    expect(health.content).toEqual({
      'application/json': {
        schema: {
          type: 'object',
          required: ['status'],
          properties: { status: { type: 'string', enum: ['ok'] } },
        },
      },
    });
    const ready = paths['/readyz'].get.responses[503].content['application/json'].schema;
    expect(ready.properties.check).toEqual({ type: 'string', enum: ['a', 'b'] });
  });
});

describe('API reference page', () => {
  it('names nothing from elsewhere and has no inline script, style or handler', async () => {
    const response = await ask('/docs');
    const html = await response.text();
    expect(html).not.toMatch(/(?:src|href)="(?!\/docs\/|data:,)/);
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style|style=|\son\w+=/i);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('x-frame-options')).toBe('DENY');
  });

  it('has a policy that allows this origin alone and nothing inline', async () => {
    const policy = (await ask('/docs')).headers.get('content-security-policy') ?? '';
    expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  });

  it('turns off what would send anything: the validator badge and the request buttons', async () => {
    const script = await (await ask('/docs/assets/start.js')).text();
    expect(script).toContain('validatorUrl: null');
    expect(script).toContain('supportedSubmitMethods: []');
  });

  it('serves its files from this origin, with their types', async () => {
    const files = { 'swagger-ui-bundle.js': 'text/javascript', 'swagger-ui.css': 'text/css' };
    for (const [name, type] of Object.entries(files)) {
      const response = await ask(`/docs/assets/${name}`);
      expect([name, response.status]).toEqual([name, 200]);
      expect(response.headers.get('content-type')).toBe(`${type}; charset=utf-8`);
      expect((await response.text()).length).toBeGreaterThan(100_000);
    }
  });

  it('serves no other file of the package or the machine', async () => {
    const paths = [
      'swagger-ui.js',
      '..%2fpackage.json',
      '%2e%2e/%2e%2e/package.json',
      'swagger-ui.css/../../../../etc/passwd',
      '__proto__',
      'constructor',
    ];
    for (const path of paths) {
      const response = await ask(`/docs/assets/${path}`);
      expect([path, response.status]).toEqual([path, 404]);
    }
  });

  it('answers another method than GET with 405', async () => {
    for (const path of ['/docs', '/docs/openapi.json', '/docs/assets/start.js']) {
      const response = await ask(path, 'POST');
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    }
  });
});
