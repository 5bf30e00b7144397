import { describe, expect, it } from 'bun:test';
import { createLiveConfig } from '../app/config/live.ts';
import type { ConfigOutcome } from '../app/config.ts';
import { reloadSettings } from '../app/reload.ts';
import type { Grant } from '../app/store/grants.ts';
import { EVERYTHING, serializePermission } from '../app/tools/permission.ts';
import { loaded } from './config/config-input.ts';
import { createMemoryLog } from './support/memory-log.ts';

const GRANT = { permission: null, scope: 'forgejo:read forgejo:write forgejo:delete' } as Grant;

/** A reload that finds another MAX_SCOPE, with one grant in the store or a store that fails. */
function lowering(find: () => Promise<Grant | undefined>) {
  const { warnings: _, ...first } = loaded();
  const live = createLiveConfig(first);
  const memory = createMemoryLog();
  const told: (string | undefined)[] = [];
  const value = { ...loaded(), maxScope: 'forgejo:read' as const };
  const readConfig = (): ConfigOutcome => ({ ok: true, value });
  const reload = () =>
    reloadSettings({
      ...{ live, readConfig, log: memory.log },
      store: { clients: { syncStatic: async () => [] }, grants: { find } } as never,
      sessions: {
        endGrant: async () => undefined,
        permit: async (permissionOf) => void told.push(await permissionOf('g_1')),
      },
    });
  return { live, memory, told, reload };
}

describe('a reload that lowers the ceiling', () => {
  it('tells sessions what their grants allow now, once', async () => {
    const { reload, told } = lowering(async () => GRANT);
    expect(await reload()).toMatchObject({ ok: true });
    expect(told).toEqual([serializePermission({ ...EVERYTHING, scope: 'forgejo:read' })]);
    expect(await reload()).toMatchObject({ ok: true });
    expect(told).toHaveLength(1);
  });

  it('tells nothing of a grant that is gone, or that cannot be read', async () => {
    const gone = lowering(async () => undefined);
    await gone.reload();
    expect(gone.told).toEqual([undefined]);
    const broken = lowering(async () => ({ ...GRANT, permission: '{' }));
    await broken.reload();
    expect(broken.told).toEqual([undefined]);
  });

  it('holds when the store does not answer, and says who was not told', async () => {
    const { live, memory, reload } = lowering(() => Promise.reject(new Error('disk full')));
    expect(await reload()).toMatchObject({ ok: true });
    expect(live.config.maxScope).toBe('forgejo:read');
    expect(memory.of('session.not_told')).toHaveLength(1);
  });
});
