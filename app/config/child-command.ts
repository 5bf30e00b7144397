import { hasControl, type Parsed, parsed, wrong } from './parse.ts';

/** The word of `CHILD_COMMAND` that stands for Forgejo's internal address. */
const FORGEJO_URL_WORD = '{forgejo_url}';

/** Where a program that is not on PATH is expected once it is installed. */
const INSTALLED_TO = '/usr/local/bin';

/**
 * The argument vector of every child, fixed at start: the address filled in, the program resolved
 * to an absolute path, so that no later change of directory or PATH picks another one. A program
 * that is not there is a warning, not a fault: it may be installed while the broker runs, and until
 * then a call is told so.
 */
export function resolveCommand(
  words: readonly string[],
  forgejoUrl: string,
  system: {
    readonly which: (program: string) => string | null;
    readonly resolvePath: (path: string) => string;
  },
): { readonly argv: readonly string[]; readonly warning?: string } {
  const [program = '', ...rest] = words.map((word) =>
    word.replaceAll(FORGEJO_URL_WORD, forgejoUrl),
  );
  const named = program.includes('/');
  const wanted = named ? system.resolvePath(program) : `${INSTALLED_TO}/${program}`;
  const found = system.which(named ? wanted : program);
  return found === null
    ? {
        argv: [wanted, ...rest],
        warning: `until there is a program ${wanted}, no session can start`,
      }
    : { argv: [system.resolvePath(found), ...rest] };
}

/** No shell reads it, so a quote would reach the program as a character: that is never meant. */
export function commandWords(raw: string | readonly string[]): Parsed<readonly string[]> {
  const argv = typeof raw === 'string' ? raw.split(/\s+/).filter(Boolean) : raw;
  if (typeof raw === 'string' && /["']/.test(raw)) {
    return wrong('has quotes, which nothing interprets: write it as an array in the file');
  }
  if ((argv[0] ?? '') === '') return wrong('must name a program');
  return argv.some(hasControl) ? wrong('must not contain control characters') : parsed(argv);
}
