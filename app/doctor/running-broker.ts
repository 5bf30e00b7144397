import { counted } from '../base/counted.ts';
import { ownRevision, VERSION } from '../base/version.ts';
import type { Check } from './examine.ts';
import { type Found, fault, fine, skipped, warning } from './finding.ts';
import type { DoctorParts } from './parts.ts';

/** What the broker that runs says of itself: nobody else knows how its children really live. */
export function brokerChecks(parts: Pick<DoctorParts, 'askBroker' | 'config'>): Check[] {
  const { askBroker } = parts;
  return [
    { name: 'broker', run: async () => [await lookAtBroker(askBroker)] },
    { name: 'sandbox', run: async () => [await lookAtSandbox(askBroker)] },
    { name: 'child', run: async () => [await lookAtChild(parts)] },
  ];
}

type AskBroker = DoctorParts['askBroker'];

async function lookAtBroker(askBroker: AskBroker): Promise<Found> {
  const answer = await askBroker();
  if (!answer.ok) return fault(answer.error, 'Start it: systemctl start fjmcp-broker.');
  const { version, git, programs, spawnsBlocked } = answer.value;
  const own = `${VERSION} (${ownRevision()})`;
  const running = `${version} (${git})`;
  if (running !== own) {
    return warning(
      `It runs as ${running}, and this program is ${own}.`,
      'systemctl reload fjmcp-broker hands over to the installed program.',
    );
  }
  return spawnsBlocked
    ? warning(
        'It starts no programs now: the last ones found Forgejo away.',
        'See the finding about the forge; it tries again by itself.',
      )
    : fine(`It runs as ${running}, with ${counted(programs, 'program')}.`);
}

async function lookAtSandbox(askBroker: AskBroker): Promise<Found> {
  const answer = await askBroker();
  if (!answer.ok) return skipped('Only the broker that runs knows.');
  const { sandbox } = answer.value;
  switch (sandbox.kind) {
    case 'bwrap':
      return sandbox.without.length === 0
        ? fine('Each program runs in a sandbox of its own.')
        : warning(
            `Each program runs in a sandbox of its own, without: ${sandbox.without.join(', ')}.`,
            'A newer bubblewrap, or a newer kernel, keeps these too.',
          );
    case 'none':
      return warning(
        `Programs run without a sandbox: ${sandbox.reason}.`,
        sandbox.chosen
          ? 'Set CHILD_SANDBOX to auto, unless something else keeps people apart.'
          : 'Install bubblewrap and allow unprivileged user namespaces (docs/security.md).',
      );
  }
}

async function lookAtChild({ askBroker, config }: Pick<DoctorParts, 'askBroker' | 'config'>) {
  const [program = ''] = config.childCommand;
  const answer = await askBroker();
  if (!answer.ok) return skipped('Only the broker that runs can start one as it will be started.');
  const { child } = answer.value;
  switch (child.kind) {
    case 'answered':
      return fine(`${program} starts and answers.`);
    case 'forge_away':
      return skipped(`${program} cannot work while Forgejo is away.`);
    case 'silent':
      return warning(
        `${program} was started without anybody's token and did not answer: ${child.detail}.`,
        'A sign-in proves more: give doctor a test login (--login FILE).',
      );
    case 'not_started':
      return fault(
        `${program} cannot be started: ${child.detail}.`,
        'Install forgejo-mcp there, or name it with CHILD_COMMAND.',
      );
  }
}
