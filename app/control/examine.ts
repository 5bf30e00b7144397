import type { Keyring } from '../base/keyring.ts';
import { ownRevision, VERSION } from '../base/version.ts';
import type { SessionRegistry } from '../session/registry.ts';
import type { Store } from '../store/store.ts';
import type { Examined } from './protocol.ts';

export interface ExamineParts {
  readonly store: Pick<Store, 'sealed'>;
  readonly keyring: Pick<Keyring, 'currentKeyId'>;
  readonly sessions: Pick<SessionRegistry, 'activity'>;
  readonly spawnBreaker: { readonly open: boolean };
  /** What children are started in. */
  readonly sandbox: Examined['sandbox'];
  /** Starts a program without anybody's token, and ends it. */
  readonly tryChild: () => Promise<Examined['child']>;
}

/** Tells what only the running broker knows: nobody else lives in its unit, with its rights. */
export async function examine(parts: ExamineParts): Promise<Examined> {
  const { sandbox, sessions } = parts;
  return {
    version: VERSION,
    git: ownRevision(),
    keyId: parts.keyring.currentKeyId,
    successorsOfEarlierKeys: await parts.store.sealed.successorsOfEarlierKeys(),
    programs: [...sessions.activity().values()].filter(({ pid }) => pid !== undefined).length,
    spawnsBlocked: parts.spawnBreaker.open,
    // Its words tell where everything of this machine is; nobody needs them here.
    sandbox:
      sandbox.kind === 'bwrap' ? { kind: 'bwrap', without: sandbox.without } : { ...sandbox },
    child: await parts.tryChild(),
  };
}
