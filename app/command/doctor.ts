import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { err, ok, type Result } from '../base/result.ts';
import { readConfigFile } from '../config/read-file.ts';
import { SETTINGS } from '../config/settings.ts';
import { flagOf } from '../config/sources.ts';
import type { LoadedConfig } from '../config.ts';
import { askControl } from '../control/ask.ts';
import { LONG_CONTROL_TIMEOUT_MS } from '../control/protocol.ts';
import { diagnose } from '../doctor/doctor.ts';
import type { Finding, FindingStatus } from '../doctor/finding.ts';
import { machineParts } from '../doctor/machine.ts';
import type { DoctorParts, TestLogin } from '../doctor/parts.ts';
import { oddSetting, SETTINGS_CHECK, wrongSetting } from '../doctor/settings.ts';
import { backupDirectoryOf } from '../store/backup.ts';
import { type Command, type CommandContext, EXIT, type ExitCode } from './command.ts';
import { readFlags, tellUsage } from './flags.ts';
import { loadMachineConfig } from './load-config.ts';
import { shownJson } from './shown.ts';

const ALL_SETTINGS = Object.values(SETTINGS).map(({ name }) => flagOf(name).slice(2));
const STDIN = '-';
const LOGIN_LINES = 'two lines, the login and its password';

/**
 * Looks at everything that a connection needs and says what to do about what is wrong. Exit codes: 0
 * all is well, or there are warnings alone, 1 something is wrong, 2 wrong flags or settings.
 */
export const doctor: Command = async (context) => {
  const flags = readFlags(context, 'doctor', ALL_SETTINGS);
  if (!flags.ok) {
    tellUsage(context, 'doctor', flags.error);
    return EXIT.badConfiguration;
  }
  const { texts, switches, settings } = flags.value;
  const json = switches.has('json');
  const login = await readLogin(context, texts.login);
  if (!login.ok) {
    tellUsage(context, 'doctor', login.error);
    return EXIT.badConfiguration;
  }
  const loaded = loadMachineConfig({ argv: settings, env: context.env });
  if (!loaded.ok) {
    const found = [...loaded.error.map(wrongSetting), ...loaded.warnings.map(oddSetting)];
    tell(
      context,
      found.map((one) => ({ check: SETTINGS_CHECK, ...one })),
      json,
    );
    return EXIT.badConfiguration;
  }
  const directory = texts.backups ?? backupDirectoryOf(loaded.value.storePath);
  const findings = await diagnose(partsOf(loaded.value, resolve(directory), login.value));
  tell(context, findings, json);
  return exitCodeOf(findings);
};

function partsOf(
  config: LoadedConfig,
  backupDirectory: string,
  testLogin: TestLogin | undefined,
): DoctorParts {
  const clock = systemClock;
  let asked: ReturnType<DoctorParts['askBroker']> | undefined;
  return {
    ...machineParts(clock),
    ...{ config, clock, backupDirectory, testLogin },
    askBroker() {
      asked ??= askRunning(config.controlSocketPath);
      return asked;
    },
  };
}

async function askRunning(path: string | undefined) {
  if (path === undefined) return err('The broker has no control socket.');
  return askControl(path, { action: 'examine' }, systemClock, LONG_CONTROL_TIMEOUT_MS);
}

/** The login from a file or from standard input: a flag could be read by every process. */
async function readLogin(
  context: CommandContext,
  from: string | undefined,
): Promise<Result<TestLogin | undefined, string>> {
  if (from === undefined) return ok(undefined);
  const text = from === STDIN ? ok(await context.readInput()) : readLoginFile(from);
  if (!text.ok) return text;
  const [login = '', password = '', ...rest] = text.value.trimEnd().split('\n');
  return login === '' || password === '' || rest.length > 0
    ? err(`--login: what is given has to be ${LOGIN_LINES}.`)
    : ok({ login: login.trim(), password: password.replace(/\r$/, '') });
}

function readLoginFile(path: string): Result<string, string> {
  try {
    const { bytes, isRegular, mode } = readConfigFile(path);
    if (!isRegular) return err(`--login: ${path} is no file; "${STDIN}" is standard input.`);
    if ((mode & 0o077) !== 0) return err(`--login: others may read ${path}: chmod 600 ${path}`);
    return ok(new TextDecoder().decode(bytes));
  } catch (error) {
    return err(`--login: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function exitCodeOf(findings: readonly Finding[]): ExitCode {
  return findings.some(({ status }) => status === 'fault') ? EXIT.failed : EXIT.stopped;
}

function tell(context: CommandContext, findings: readonly Finding[], json: boolean): void {
  const counts = countsOf(findings);
  if (json) {
    context.print(shownJson({ ok: counts.fault === 0, counts, findings }));
    return;
  }
  const lines = findings.map(({ check, status, says, remedy }) => {
    const line = `${MARKS[status].padEnd(8)}${check.padEnd(13)}${printable(says)}`;
    return remedy === undefined ? line : `${line}\n${' '.repeat(21)}-> ${printable(remedy)}`;
  });
  const sum = `${counts.fault} wrong, ${counts.warning} to know, ${counts.fine} well`;
  const rest = counts.skipped === 0 ? '' : `, ${counts.skipped} not looked at`;
  context.print(`${lines.join('\n')}\n\n${sum}${rest}\n`);
}

const MARKS: Readonly<Record<FindingStatus, string>> = {
  fine: 'ok',
  warning: 'warning',
  fault: 'FAULT',
  skipped: '-',
};

function countsOf(findings: readonly Finding[]): Record<FindingStatus, number> {
  const counts = { fine: 0, warning: 0, fault: 0, skipped: 0 };
  for (const { status } of findings) counts[status] += 1;
  return counts;
}

/** Some of it is what another server has said. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
