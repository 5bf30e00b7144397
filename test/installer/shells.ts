import { setDefaultTimeout } from 'bun:test';
import { describeWith, type Requirement } from '../support/requirements.ts';

/** A POSIX shell that the installer has to run under. */
export interface Shell {
  readonly name: string;
  readonly argv: readonly string[];
}

const SHELLS: readonly Shell[] = [
  { name: 'dash', argv: ['dash'] },
  { name: 'bash', argv: ['bash', '--posix'] },
  { name: 'busybox', argv: ['busybox', 'ash'] },
];

const curl: Requirement = {
  name: 'curl',
  present: Bun.which('curl') !== null,
  sentence: 'no curl here: install the Debian package curl to run the suites of the installer',
};

/** The shell of suites in which the shell makes no difference. */
export const SH: Shell = { name: 'sh', argv: ['sh'] };

/** A `describe` for each of the three shells, with the absolute path of the shell. */
export function describeUnderShells(title: string, body: (shell: Shell) => void): void {
  for (const { name, argv } of SHELLS) {
    const [program = '', ...rest] = argv;
    const found = Bun.which(program);
    const requirement: Requirement = {
      name,
      present: found !== null && curl.present,
      sentence: curl.present
        ? `no ${name} here: install the Debian package ${name} to run the installer under it`
        : curl.sentence,
    };
    describeInstaller(requirement, `${title} under ${name}`, () => {
      body({ name, argv: [found ?? program, ...rest] });
    });
  }
}

/** A run starts some hundred processes: on a busy machine that takes its time. */
const TIMEOUT_MS = 120_000;

/** A `describe` of a suite that runs the installer. */
export function describeInstaller(requirement: Requirement, title: string, body: () => void): void {
  setDefaultTimeout(TIMEOUT_MS);
  describeWith(requirement, title, body);
}
