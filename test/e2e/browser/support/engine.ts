import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import { chromiumPath } from '../../../support/requirements.ts';

const LAUNCH = {
  executablePath: chromiumPath ?? '',
  args: [
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // A name of the tests' own that leads to this machine, as a rebound one does.
    '--host-resolver-rules=MAP rebound.test 127.0.0.1',
    // Chromium refuses its own sandbox to root, which is what containers of CI run as.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ],
};

/** How long a test may wait for a page on a busy machine. */
export const PAGE_PATIENCE_MS = 20_000;

/** How long a test, or a start of Chromium, may take there: more, so that a page is what is told. */
export const TEST_PATIENCE_MS = 60_000;

/** A Chromium of its own, with an empty profile for each context. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch(LAUNCH);
}

/** A Chromium whose computer has a program for links of one private-use scheme. */
export interface HandlingBrowser {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

export interface HandlerOptions {
  readonly scheme: string;
  /** Pages of these origins may open the program without a question of Chromium's own. */
  readonly allowedOrigins: readonly string[];
  /** The program gets the link by POST at this URL. */
  readonly deliverTo: string;
}

/**
 * Chromium on Linux hands a foreign scheme to `xdg-open`; here that name is a program of ours. So a
 * test sees what a person's computer would open, and not only that a page has tried.
 */
export async function launchWithHandler(options: HandlerOptions): Promise<HandlingBrowser> {
  const directory = mkdtempSync(join(tmpdir(), 'fjmcp-browser-'));
  const programs = join(directory, 'programs');
  const profile = join(directory, 'profile');
  mkdirSync(programs);
  mkdirSync(join(profile, 'Default'), { recursive: true });
  const pairs = options.allowedOrigins.map((origin) => [origin, { [options.scheme]: true }]);
  writeFileSync(
    join(profile, 'Default', 'Preferences'),
    JSON.stringify({
      protocol_handler: { allowed_origin_protocol_pairs: Object.fromEntries(pairs) },
    }),
  );
  const deliver = `await fetch(${JSON.stringify(options.deliverTo)},{method:'POST',body:process.argv[1]})`;
  const program = (name: string, line: string) =>
    writeFileSync(join(programs, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  program('xdg-open', `exec '${process.execPath}' -e ${quoted(deliver)} -- "$1"`);
  // Chromium asks whether the scheme is its own.
  program('xdg-settings', 'echo no');
  const context = await chromium.launchPersistentContext(profile, {
    ...LAUNCH,
    env: { ...environment(), PATH: `${programs}:${process.env.PATH ?? ''}` },
  });
  return {
    context,
    async close() {
      await context.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function environment(): Record<string, string> {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => !!entry[1]));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
