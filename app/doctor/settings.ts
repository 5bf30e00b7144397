import type { Check } from './examine.ts';
import { type Found, fault, fine, warning } from './finding.ts';
import type { DoctorParts } from './parts.ts';

export const SETTINGS_CHECK = 'settings';

/** What the settings that were read have to say. */
export function settingsCheck({ config }: Pick<DoctorParts, 'config'>): Check {
  return {
    name: SETTINGS_CHECK,
    run: async () =>
      config.warnings.length === 0
        ? [fine('All settings are right.')]
        : config.warnings.map(oddSetting),
  };
}

/** A setting that nothing can work with. */
export function wrongSetting(sentence: string): Found {
  return fault(asSentence(sentence), SEE_HELP);
}

/** A setting that can be as it is, and is probably not meant so. */
export function oddSetting(sentence: string): Found {
  return warning(asSentence(sentence), SEE_HELP);
}

const SEE_HELP = 'fjmcp-broker --help tells of all settings.';

function asSentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
