import { describe, expect, it } from 'bun:test';
import {
  EVERYTHING,
  narrow,
  type Permission,
  parsePermission,
  serializePermission,
} from '../../app/tools/permission.ts';
import { SCOPES } from '../../app/tools/scopes.ts';

const SOME: Permission = {
  scope: 'forgejo:write',
  toolsets: ['issues', 'wiki'],
  targets: ['acme', 'acme/*'],
};

describe('a permission', () => {
  it('is refused when it is not what was written, and never read as more', () => {
    const broken = [
      '',
      'null',
      '[]',
      '{}',
      '{"scope":"forgejo:admin","toolsets":"all","targets":"all"}',
      '{"scope":"forgejo:read","targets":"all"}',
      '{"scope":"forgejo:read","toolsets":[],"targets":"all"}',
      '{"scope":"forgejo:read","toolsets":["everything"],"targets":"all"}',
      '{"scope":"forgejo:read","toolsets":"all","targets":[]}',
      '{"scope":"forgejo:read","toolsets":"all","targets":["*"]}',
      '{"scope":"forgejo:read","toolsets":"all","targets":[1]}',
    ];
    for (const json of broken) expect(parsePermission(json).ok).toBe(false);
  });

  it('is everything for a grant from before', () => {
    expect(parsePermission(null)).toEqual({ ok: true, value: EVERYTHING });
  });

  it('comes back as it was stored, in one spelling', () => {
    for (const permission of [EVERYTHING, SOME]) {
      const text = serializePermission(permission);
      expect(parsePermission(text)).toEqual({ ok: true, value: permission });
    }
    const shuffled: Permission = {
      ...SOME,
      toolsets: ['wiki', 'issues', 'wiki'],
      targets: ['acme/*', 'acme', 'acme'],
    };
    expect(serializePermission(shuffled)).toBe(serializePermission(SOME));
  });

  it('is the least of grant, token and ceiling', () => {
    for (const granted of SCOPES) {
      for (const token of SCOPES) {
        for (const ceiling of SCOPES) {
          const least = SCOPES.find((scope) => [granted, token, ceiling].includes(scope));
          expect([least]).toEqual([narrow({ ...SOME, scope: granted }, token, ceiling)?.scope]);
        }
      }
    }
  });

  it('is none for a token that names no scope of ours', () => {
    expect(narrow(EVERYTHING, 'offline_access', 'forgejo:delete')).toBeUndefined();
  });
});
