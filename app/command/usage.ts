/** A flag of one command; without `value` it is a switch. */
export interface FlagUsage {
  readonly name: string;
  /** What stands for the value. */
  readonly value?: string;
  readonly help: string;
}

/** How a command is used: what it takes is read from here, and so is what its help tells. */
export interface CommandUsage {
  readonly about: string;
  /** What its arguments without a flag are called, in their order. */
  readonly names?: readonly string[];
  readonly flags: readonly FlagUsage[];
  /** Settings that it reads, by their flags; `config` is always among them. */
  readonly settings: readonly string[];
  /** What its exit codes 0 and 1 mean; 2 is always a wrong flag or setting. */
  readonly exits: readonly [string, string];
}

const JSON_FLAG = { name: 'json', help: 'the answer for a program' } as const;
/** What narrows a list. */
const LIST_FLAGS = [
  { name: 'login', value: 'LOGIN', help: 'those of one person' },
  { name: 'client', value: 'ID', help: 'those of one client' },
  JSON_FLAG,
] as const;
/** Where the running broker can be asked. */
const PLACE = ['control-socket', 'store-path'] as const;
const NOT_ASKED = 'no broker runs, or it refused';

/** The commands that an administrator uses, but for `serve` and `demo`. */
export const USAGE = {
  sessions: {
    about: 'Lists the sessions of the broker that runs, the latest used first.',
    flags: LIST_FLAGS,
    settings: PLACE,
    exits: ['listed', NOT_ASKED],
  },
  grants: {
    about: 'Lists what people have allowed clients and not ended, the latest used first.',
    flags: LIST_FLAGS,
    settings: PLACE,
    exits: ['listed', NOT_ASKED],
  },
  revoke: {
    about: 'Ends a grant, a session, or all grants of a person, at once. One of the three.',
    flags: [
      { name: 'grant', value: 'ID', help: 'a grant, by the id that grants tells' },
      {
        name: 'session',
        value: 'ID',
        help: 'a session, by the id that sessions tells; one that begins with "-" as --session=-a1B2c3D4',
      },
      { name: 'login', value: 'LOGIN', help: 'all grants of a person' },
      JSON_FLAG,
    ],
    settings: PLACE,
    exits: ['ended', 'there is nothing of that name, no broker runs, or it refused'],
  },
  reload: {
    about:
      'Has the broker that runs read its settings again, and tells what has changed. Where the\n' +
      'program was replaced since, the broker hands over to the new one.',
    flags: [{ name: 'hand-over', help: 'hand over also to the same program' }, JSON_FLAG],
    settings: PLACE,
    exits: ['done', 'refused: all is as before, or no broker runs'],
  },
  doctor: {
    about: 'Looks at all that a connection needs, and says what to do about what is wrong.',
    flags: [
      {
        name: 'login',
        value: 'FILE',
        help: 'sign in as well: login and password of a test account, two lines; - is standard input',
      },
      { name: 'backups', value: 'DIR', help: 'where backups are; else backups/ beside the store' },
      JSON_FLAG,
    ],
    settings: ['any other setting'],
    exits: ['all is well, or there are warnings alone', 'something is wrong'],
  },
  backup: {
    about: 'Copies the store, while the broker runs or not, and deletes the oldest copies.',
    flags: [
      { name: 'directory', value: 'DIR', help: 'where to; else backups/ beside the store' },
      { name: 'keep', value: 'N', help: 'how many copies stay, with this one; else 14' },
      JSON_FLAG,
    ],
    settings: ['store-path'],
    exits: ['copied', 'not copied; older copies are as they were'],
  },
  restore: {
    about: 'Puts a backup in the place of the store of a broker that is stopped.',
    names: ['BACKUP'],
    flags: [{ name: 'without-key', help: 'do not look whether the store key opens it' }, JSON_FLAG],
    settings: ['store-path', 'store-key-file', 'store-previous-key-file', 'forgejo-url'],
    exits: ['restored; the store before is set aside', 'not restored; nothing was changed'],
  },
  'rotate-key': {
    about:
      'Makes a new store key, puts both where the next start reads them, and has the broker that\n' +
      'runs seal everything with the new one. Broken off, a second run goes on where it stopped.',
    flags: [JSON_FLAG],
    settings: [...PLACE, 'store-key-file', 'store-previous-key-file'],
    exits: ['rotated', 'not, or not yet, rotated'],
  },
} as const satisfies Readonly<Record<string, CommandUsage>>;

export type UsedCommand = keyof typeof USAGE;

/** The flags of a command in one line. */
export function usageLine(command: UsedCommand): string {
  const { flags, settings, names = [] }: CommandUsage = USAGE[command];
  const own = flags.map(
    ({ name, value }) => `[--${name}${value === undefined ? '' : ` ${value}`}]`,
  );
  const read = settings.length > 0 ? ['[--setting VALUE ...]'] : [];
  return ['fjmcp-broker', command, ...names, ...own, ...read].join(' ');
}

/** What `--help` tells of a command. */
export function usageText(command: UsedCommand): string {
  const { about, flags, settings, exits }: CommandUsage = USAGE[command];
  const rows = flags.map(({ name, value, help }) => [`--${name} ${value ?? ''}`, help] as const);
  const width = Math.max(...rows.map(([flag]) => flag.length));
  const read = ['config', ...settings].map((name) => (name.includes(' ') ? name : `--${name}`));
  return [
    about,
    '',
    `Usage: ${usageLine(command)}`,
    '',
    ...rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`),
    '',
    'Settings that it reads, as flag, variable or key (fjmcp-broker --help tells of them):',
    `  ${read.join(' ')}`,
    '',
    'Exit codes:',
    ...[...exits, 'wrong flags or settings'].map((meaning, code) => `  ${code}  ${meaning}`),
    '',
  ].join('\n');
}
