import { describe } from 'bun:test';
import { existsSync } from 'node:fs';
import { findSandbox } from '../../app/child/find-sandbox.ts';

/** Something that a suite needs and that a plain checkout does not bring. */
export interface Requirement {
  /** What `FJMCP_TEST_REQUIRE` calls it. */
  readonly name: string;
  readonly present: boolean;
  /** What is missing and how to get it. */
  readonly sentence: string;
}

const CHROMIUM_PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where a Chromium is installed, if one is. */
export const chromiumPath = CHROMIUM_PATHS.find((path) => existsSync(path));

export const chromium: Requirement = {
  name: 'chromium',
  present: chromiumPath !== undefined,
  sentence: 'no Chromium here: install the Debian package chromium to run the browser suites',
};

/** The real forgejo-mcp, where a path to one is given. */
export const forgejoMcpPath = process.env.FORGEJO_MCP_BIN || undefined;

export const forgejoMcp: Requirement = {
  name: 'forgejo-mcp',
  present: forgejoMcpPath !== undefined,
  sentence: 'no forgejo-mcp here: give the path of a release binary in FORGEJO_MCP_BIN',
};

const sandbox = findSandbox({ mode: 'auto', program: process.execPath, paths: [] });

/** A bwrap that works: its package, and a kernel that lets everybody make namespaces. */
export const bwrap: Requirement = {
  name: 'bwrap',
  present: sandbox.ok && sandbox.value.kind === 'bwrap',
  sentence:
    'no sandbox here: install the Debian package bubblewrap, where user namespaces are allowed',
};

/** Whoever may act as another user of the machine. */
export const root: Requirement = {
  name: 'root',
  present: process.getuid?.() === 0,
  sentence: 'not root: run it as root to see what other users of the machine can do',
};

/** Two runtimes of 100 MB each, which only who builds a release has to load. */
export const release: Requirement = {
  name: 'release',
  present: (process.env.FJMCP_TEST_REQUIRE ?? '').split(',').includes('release'),
  sentence: 'whole releases are made only where FJMCP_TEST_REQUIRE names release',
};

/** Root, a systemd-nspawn and a release: `bun run test:appliance` makes what of it can be made. */
export const appliance: Requirement = {
  name: 'appliance',
  present: process.env.FJMCP_APPLIANCE_PREPARED !== undefined,
  sentence:
    'no machine here: bun run test:appliance, as root on Debian, makes one for these suites',
};

/**
 * A `describe` that says in a sentence why it skips. Where `FJMCP_TEST_REQUIRE` names the
 * requirement, a missing one fails instead: CI must not skip what it has installed for.
 */
export function describeWith(requirement: Requirement, title: string, body: () => void): void {
  const required = (process.env.FJMCP_TEST_REQUIRE ?? '').split(',').includes(requirement.name);
  if (!requirement.present && required) throw new Error(requirement.sentence);
  if (!requirement.present) process.stderr.write(`skipped: ${title}: ${requirement.sentence}\n`);
  describe.skipIf(!requirement.present)(title, body);
}
