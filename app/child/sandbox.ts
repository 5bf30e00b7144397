import { lstatSync, readlinkSync } from 'node:fs';

/** What an administrator may ask for: a sandbox where one works, one or no start, or none. */
export const SANDBOX_MODES = ['auto', 'bwrap', 'none'] as const;
export type SandboxMode = (typeof SANDBOX_MODES)[number];

/** What children are started in. */
export type Sandbox =
  | {
      readonly kind: 'bwrap';
      /** The words before a child's command. */
      readonly prefix: readonly string[];
      /** Promises that this system's bwrap cannot keep; each is a word of it. */
      readonly without: readonly string[];
    }
  | {
      readonly kind: 'none';
      readonly reason: string;
      /** Whether it is the administrator's own will. */
      readonly chosen: boolean;
    };

/** A further promise that an older bwrap, or a hardened unit around it, cannot keep. */
export const FURTHER_PROMISES = {
  /** No namespaces inside the namespaces: their code in the kernel is not for children. */
  'disable-userns': ['--unshare-user', '--disable-userns'],
  /** A child cannot fill the machine's memory by writing files. */
  size: ['--size', String(64 * 1024 * 1024)],
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type FurtherPromise = keyof typeof FURTHER_PROMISES;

/** Loader and libraries of a dynamic program; a static one, as forgejo-mcp is, needs none of them. */
const LIBRARIES = ['/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/libexec', '/usr/local/lib'];
/** On most systems links into `/usr`. */
const ROOT_LIBRARIES = ['/lib', '/lib32', '/lib64'];

/** What a program needs to find hosts and to trust certificates; none of it is secret. */
const READABLE = [
  ...['/etc/ld.so.cache', '/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/host.conf'],
  ...['/etc/gai.conf', '/etc/services', '/etc/protocols', '/etc/localtime', '/usr/share/zoneinfo'],
  ...[
    '/etc/ssl/certs',
    '/etc/ssl/openssl.cnf',
    '/etc/pki/tls/certs',
    '/etc/pki/ca-trust/extracted',
  ],
  ...['/usr/share/ca-certificates', '/usr/local/share/ca-certificates'],
];

/**
 * The words that put `program` into a sandbox of its own: every namespace but the network's, an
 * empty root file system with what is named here, readable and no more, and its own `/proc`, `/dev`
 * and `/tmp`. It ends with the process that started it. The environment passes through, so it must
 * be the child's own and nothing else; a word here could be read by every user of the machine.
 */
export function sandboxPrefix(options: {
  /** The absolute path of bwrap. */
  readonly bwrap: string;
  readonly program: string;
  /** What else the program may read, in absolute paths. */
  readonly paths: readonly string[];
  readonly promises: readonly FurtherPromise[];
}): readonly string[] {
  const { promises } = options;
  const has = (promise: FurtherPromise) =>
    promises.includes(promise) ? FURTHER_PROMISES[promise] : [];
  return [
    options.bwrap,
    ...['--unshare-all', '--share-net', '--die-with-parent', '--new-session'],
    ...has('disable-userns'),
    // As root, bwrap would leave its capabilities to the program.
    ...['--cap-drop', 'ALL'],
    ...['--proc', '/proc', '--dev', '/dev'],
    ...[...has('size'), '--tmpfs', '/tmp', ...has('size'), '--tmpfs', '/dev/shm'],
    ...LIBRARIES.flatMap(readOnly),
    ...ROOT_LIBRARIES.flatMap(linkOrReadOnly),
    ...READABLE.flatMap(readOnly),
    // After /tmp: a program or a file may lie there.
    ...[...options.paths, options.program].flatMap(readOnly),
    // Both are file systems in memory that have no bound of their own.
    ...['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/', '--'],
  ];
}

/** Links on the way are followed at each start: after an upgrade, the program is the new one. */
function readOnly(path: string): string[] {
  return ['--ro-bind-try', path, path];
}

function linkOrReadOnly(path: string): string[] {
  try {
    if (lstatSync(path).isSymbolicLink()) return ['--symlink', readlinkSync(path), path];
  } catch {
    return [];
  }
  return readOnly(path);
}
