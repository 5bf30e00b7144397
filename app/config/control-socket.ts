import { type ConfigInput, controlSocketOf } from '../config.ts';
import { SETTINGS } from './settings.ts';
import { gatherSources, spellings } from './sources.ts';

/** The path of the socket, or sentences about why it is not known. */
export type ControlSocketOutcome =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly error: readonly string[] };

/**
 * Where the broker listens for commands, by the same flags, variables and file. Nothing else of the
 * configuration is looked at: a command needs neither the broker's secrets nor its other settings.
 */
export function findControlSocket(
  input: Pick<ConfigInput, 'argv' | 'env' | 'readFile' | 'resolvePath'>,
): ControlSocketOutcome {
  const { given, faults } = gatherSources({
    argv: input.argv,
    env: input.env,
    readText: (path) => new TextDecoder().decode(input.readFile(path).bytes),
  });
  const all = [...faults];
  const read = (key: 'controlSocketPath' | 'storePath'): string | undefined => {
    const { name, parse } = SETTINGS[key];
    const raw = given.get(name)?.raw;
    const outcome = raw === undefined ? undefined : parse(raw);
    if (outcome?.ok === false) all.push(`${spellings(name)}: ${outcome.reason}`);
    return outcome?.ok === true ? outcome.value : undefined;
  };
  const storePath = read('storePath');
  const values = { controlSocketPath: read('controlSocketPath'), ...(storePath && { storePath }) };
  const path = controlSocketOf(values, input.resolvePath);
  if (path !== undefined && all.length === 0) return { ok: true, value: path };
  if (all.length === 0) {
    const { controlSocketPath, storePath: store } = SETTINGS;
    all.push(
      `${spellings(controlSocketPath.name)}: is missing, and so is ${spellings(store.name)}. ` +
        'One of them says where the broker can be asked.',
    );
  }
  return { ok: false, error: all };
}
