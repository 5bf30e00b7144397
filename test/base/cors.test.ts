import { describe, expect, it } from 'bun:test';
import { corsHeaders, originAllowed, preflightResponse } from '../../app/base/cors.ts';

const LISTED = ['https://mcp.example.org', 'https://client.example'];

describe('CORS', () => {
  it.each([
    'https://evil.example',
    'null',
    'https://client.example.evil.example',
    'HTTPS://CLIENT.EXAMPLE',
    '',
  ])('T2: gives the unlisted origin "%s" nothing, and lets no cache mix answers up', (origin) => {
    expect(originAllowed(origin, LISTED)).toBe(false);
    expect(corsHeaders(origin, LISTED)).toEqual({ vary: 'Origin' });
    const preflight = preflightResponse(origin, LISTED, ['POST']);
    expect(preflight.status).toBe(403);
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('T2: echoes a listed origin, and lets scripts read session, challenge and waiting time', () => {
    expect(originAllowed('https://client.example', LISTED)).toBe(true);
    expect(corsHeaders('https://client.example', LISTED)).toEqual({
      'access-control-allow-origin': 'https://client.example',
      'access-control-expose-headers':
        'Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After',
      vary: 'Origin',
    });
  });

  it('T2: lets a request without Origin pass: no browser sent it', () => {
    expect(originAllowed(null, LISTED)).toBe(true);
    expect(corsHeaders(null, LISTED)).toEqual({ vary: 'Origin' });
  });

  it('D13: lets every origin read a discovery document', () => {
    expect(corsHeaders('https://anyone.example', 'public')['access-control-allow-origin']).toBe(
      '*',
    );
    expect(corsHeaders(null, 'public')['access-control-allow-origin']).toBe('*');
  });

  it('never lets a cookie go across origins', () => {
    const answers = [
      corsHeaders('https://client.example', LISTED),
      corsHeaders('https://client.example', 'public'),
      Object.fromEntries(preflightResponse('https://client.example', LISTED, ['POST']).headers),
    ];
    for (const headers of answers) {
      expect(Object.keys(headers)).not.toContain('access-control-allow-credentials');
    }
  });

  it('answers a preflight with the methods, and names Authorization, which * does not cover', () => {
    const preflight = preflightResponse('https://client.example', LISTED, ['POST', 'DELETE']);
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-methods')).toBe('POST, DELETE');
    expect(preflight.headers.get('allow')).toBe('POST, DELETE');
    const allowed = preflight.headers.get('access-control-allow-headers')?.split(', ');
    expect(allowed).toContain('Authorization');
    expect(allowed).toContain('Mcp-Protocol-Version');
    expect(preflight.headers.get('access-control-max-age')).toBe('600');
  });
});
