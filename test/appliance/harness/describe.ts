import { setDefaultTimeout } from 'bun:test';
import { appliance, describeWith } from '../../support/requirements.ts';

/** A whole installation, with packages and a boot, takes 30 s, and minutes on a busy machine. */
const TEST_MS_MAX = 600_000;

/** A `describe` of a suite that has a machine; its tests and hooks have the time that they need. */
export function describeAppliance(title: string, body: () => void): void {
  setDefaultTimeout(TEST_MS_MAX);
  describeWith(appliance, title, body);
}
