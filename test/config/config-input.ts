import type { FileContent } from '../../app/config/secret-files.ts';
import { type ConfigInput, loadConfig } from '../../app/config.ts';

/** A file of the imagined machine; private and regular unless it says otherwise. */
export type ImaginedFile = string | Uint8Array | Partial<FileContent>;

export const STORE_KEY = new Uint8Array(32).map((_, index) => index);

/** The environment that is enough to serve. */
export const ENOUGH: Readonly<Record<string, string>> = {
  FJMCP_PUBLIC_URL: 'https://mcp.example.org',
  FJMCP_FORGEJO_URL: 'https://git.example.org',
  FJMCP_FORGEJO_CLIENT_ID: 'the-id',
  FJMCP_FORGEJO_CLIENT_SECRET: 'canary-upstream-secret',
  FJMCP_STORE_PATH: '/var/lib/fjmcp/store.sqlite',
  FJMCP_STORE_KEY_FILE: '/etc/fjmcp/store.key',
};

export interface Given {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly files?: Readonly<Record<string, ImaginedFile>>;
  readonly toolsFaults?: ConfigInput['toolsFaults'];
  readonly programs?: Readonly<Record<string, string>>;
}

/** Loads with what is enough, and what a test adds or (with undefined) takes away. */
export function load(given: Given = {}) {
  const files: Readonly<Record<string, ImaginedFile>> = {
    '/etc/fjmcp/store.key': STORE_KEY,
    ...given.files,
  };
  const programs = given.programs ?? { 'forgejo-mcp': '/usr/bin/forgejo-mcp' };
  const input: ConfigInput = {
    argv: given.argv ?? [],
    env: { ...ENOUGH, ...given.env },
    readFile: (path) => contentOf(files[path]),
    which: (program) => programs[program] ?? null,
    toolsFaults: given.toolsFaults ?? (() => []),
    resolvePath: (path) => (path.startsWith('/') ? path : `/work-dir/${path}`),
  };
  return loadConfig(input);
}

/** The configuration, or a failure that shows the faults. */
export function loaded(given: Given = {}) {
  const outcome = load(given);
  if (!outcome.ok) throw new Error(outcome.error.join('\n'));
  return outcome.value;
}

/** The faults, or a failure that says there were none. */
export function faults(given: Given = {}): readonly string[] {
  const outcome = load(given);
  if (outcome.ok) throw new Error('the configuration was accepted');
  return outcome.error;
}

function contentOf(file: ImaginedFile | undefined): FileContent {
  if (file === undefined) {
    throw Object.assign(new Error('no such file or directory'), { code: 'ENOENT' });
  }
  const usual = { isRegular: true, mode: 0o600 };
  if (typeof file === 'string') return { bytes: new TextEncoder().encode(file), ...usual };
  if (file instanceof Uint8Array) return { bytes: file, ...usual };
  return { bytes: new Uint8Array(), ...usual, ...file };
}
