import { discoveryChecks } from './discovery.ts';
import { examine } from './examine.ts';
import type { Finding } from './finding.ts';
import { forgeChecks } from './forge.ts';
import type { DoctorParts } from './parts.ts';
import { publicAddressChecks } from './public-address.ts';
import { brokerChecks } from './running-broker.ts';
import { settingsCheck } from './settings.ts';
import { signInCheck } from './sign-in.ts';
import { storeChecks } from './store.ts';

/** Looks at everything that a connection needs, from the settings to a sign-in. */
export async function diagnose(parts: DoctorParts): Promise<readonly Finding[]> {
  const checks = [
    settingsCheck(parts),
    ...brokerChecks(parts),
    ...storeChecks(parts),
    ...forgeChecks(parts),
    ...publicAddressChecks(parts),
    ...discoveryChecks(parts),
  ];
  const found = await examine(checks, parts.clock);
  // Last and alone: it uses what the others look at, and the limits that they may have come near.
  return [...found, ...(await examine([signInCheck(parts)], parts.clock))];
}
