import { describe, expect, it } from 'bun:test';
import fc from 'fast-check';
import { createLog, type LogLevel, scrub, silentLog } from '../../app/base/log.ts';
import { newToken, Secret, systemRandom } from '../../app/base/secret.ts';

function capture(level: LogLevel = 'debug', format: 'json' | 'pretty' = 'json') {
  const lines: string[] = [];
  const log = createLog({ level, format, sink: (line) => lines.push(line) });
  return { log, lines };
}

const JWT = `eyJ${newToken(systemRandom)}.${newToken(systemRandom, 300)}.${newToken(systemRandom)}`;

describe('scrubbing', () => {
  it.each([
    ['a bearer header', `Authorization: Bearer ${newToken(systemRandom)}`],
    ['a lower-case bearer', `authorization: bearer ${newToken(systemRandom)}`],
    ['a basic header', `Authorization: Basic ${btoa('client:secret-of-it')}`],
    ["Forgejo's token header", `Authorization: token ${'0123456789abcdef'.repeat(2)}01234567`],
    ['a JWT', `answer was ${JWT} and more`],
    ['a JWT without signature', JWT.split('.').slice(0, 2).join('.')],
    ['an access token of ours', `fjmcp_at_${newToken(systemRandom)}`],
    ['a refresh token of ours', `fjmcp_rt_${newToken(systemRandom)}`],
    ['a code of ours', `fjmcp_ac_${newToken(systemRandom)}`],
    ['a client secret of ours', `fjmcp_cs_${newToken(systemRandom)}`],
    ["Forgejo's code", `code gta_${newToken(systemRandom)}`],
    ["Forgejo's client secret", `gto_${newToken(systemRandom)}`],
    ['a callback address', `/oauth/callback?state=${newToken(systemRandom)}`],
    ['a code in an address', `/callback?iss=x&code=${newToken(systemRandom)}&state=s`],
    ['a form', `grant_type=refresh_token&refresh_token=${newToken(systemRandom)}`],
    ['a verifier', `code_verifier=${newToken(systemRandom)}`],
    ['a password in a form', `user_name=a&password=${newToken(systemRandom)}`],
    ['a JSON answer', `{"access_token":"${newToken(systemRandom)}","token_type":"bearer"}`],
    ['JSON inside JSON', JSON.stringify(`{"client_secret": "${newToken(systemRandom)}"}`)],
  ])('S10: takes %s out of a line', (_, text) => {
    const secrets = text.match(/[A-Za-z0-9_-]{16,}/g) ?? [text.split(' ').at(-1) ?? ''];
    const clean = scrub(text);
    expect(clean).toContain('[secret]');
    for (const secret of secrets) {
      const names = ['fjmcp_', 'gto_', 'gta_', 'grant_type', 'access_token', 'client_secret'];
      if (names.some((name) => secret.startsWith(name)) && secret.length < 20) continue;
      expect(clean).not.toContain(secret.slice(-12));
    }
  });

  it('leaves what is no credential as it is', () => {
    const texts = [
      'token.refused',
      'the token endpoint answered 400',
      'basic authentication was tried',
      '{"state":"needs_sign_in","code":"ECONNREFUSED"}',
      'session 3kfh20aZ of client dcr_5kf93 ended',
      'https://git.example.org/login/oauth/authorize',
    ];
    for (const text of texts) expect(scrub(text)).toBe(text);
  });

  it('changes nothing more the second time', () => {
    const words = fc.constantFrom(
      'Bearer ',
      'code=',
      'eyJ',
      'fjmcp_at_',
      'gto_',
      '.',
      ' ',
      '"',
      '\\',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string())), (parts) => {
        const once = scrub(parts.join(''));
        expect(scrub(once)).toBe(once);
      }),
    );
  });

  it('takes time in proportion to the line, however it was built', () => {
    // A quadratic expression would need minutes for these, and the runner's time-out would tell.
    for (const part of [
      'token ',
      'eyJ',
      'eyJaaaaaa.',
      'eyJaaaaaa-',
      'fjmcp_at_',
      'code=',
      '"access_token":"',
      '\\',
    ]) {
      expect(scrub(part.repeat(1_000_000 / part.length)).length).toBeGreaterThan(0);
    }
  });
});

describe('log', () => {
  it('[logging class] S10: writes no secret, whether as a field, in an error, or in its cause', () => {
    for (const format of ['json', 'pretty'] as const) {
      const { log, lines } = capture('debug', format);
      const token = `fjmcp_at_${newToken(systemRandom)}`;
      const cause = new Error(`upstream said ${token}`);
      log.info('a.b', { secret: new Secret('canary-1'), deep: { list: [new Secret('canary-2')] } });
      log.error('a.b', { err: new Error(`failed with Bearer ${token}`, { cause }) });
      log.with({ token: new Secret('canary-3') }).warn('a.b', { url: `/x?code=${token}` });
      const text = lines.join('');
      expect(text).not.toContain('canary');
      expect(text).not.toContain(token.slice(9));
    }
  });

  it('writes of an error its name, message, code, stack and causes, and no other property', () => {
    const { log, lines } = capture();
    const error = Object.assign(new TypeError('broke', { cause: new Error('why') }), {
      code: 'E_X',
      request: { headers: 'canary' },
    });
    log.error('it.failed', { err: error });
    const entry = JSON.parse(lines[0] ?? '');
    expect(entry.err).toMatchObject({
      name: 'TypeError',
      message: 'broke',
      code: 'E_X',
      cause: { name: 'Error', message: 'why' },
    });
    expect(lines[0]).not.toContain('canary');
    log.error('it.failed', { err: 'thrown text' });
    expect(JSON.parse(lines[1] ?? '').err).toBe('thrown text');
  });

  it('writes one JSON object a line: level, time, event, fields', () => {
    const { log, lines } = capture();
    log.info('session.opened', { login: 'line\nfeed' });
    log.with({ session: 'abc' }).debug('call.answered');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'session.opened',
      login: 'line\nfeed',
    });
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ session: 'abc', level: 'debug' });
  });

  it('drops what is below its level, and follows a change of it', () => {
    const { log, lines } = capture('warn');
    log.info('a');
    log.warn('b');
    log.error('c');
    log.setLevel('debug');
    log.debug('d');
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['b', 'c', 'd']);
    silentLog.error('nothing');
  });

  it('carries a change of its level to the logs that were made of it before', () => {
    const { log, lines } = capture('warn');
    const session = log.with({ session: 'abc' }).with({ pid: 1 });
    session.info('a');
    log.setLevel('info');
    session.info('b');
    expect(session.writes('info')).toBe(true);
    session.setLevel('error');
    log.warn('c');
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['b']);
  });

  it('is readable for a person on request', () => {
    const { log, lines } = capture('info', 'pretty');
    log.info('session.opened', { login: 'alice' });
    expect(lines.join('')).toMatch(/INFO.*session\.opened.*alice/);
  });

  it('S10: gives no field of a client a place of its own in the readable form', () => {
    const { log, lines } = capture('info', 'pretty');
    log.info('client.registered', {
      name: 'forge.misconfigured',
      pid: 1,
      hostname: 'h',
      error: 'e',
    });
    expect(lines.join('').trimEnd()).toMatch(
      /INFO: client\.registered {"name":"forge\.misconfigured","pid":1,"hostname":"h","error":"e"}$/,
    );
    log.error('it.failed', { err: new TypeError('broke'), call: 'x' });
    expect(lines.join('')).toMatch(/ERROR: it\.failed {"call":"x"}.*TypeError.*broke/s);
  });
});
