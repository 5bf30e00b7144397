import { createServer } from 'node:net';
import type { SuiteReport } from './report.ts';
import { runSuite } from './suite.ts';

/** The suite prints the authorization URL on a line of its own. */
const AUTHORIZATION_URL = /^https?:\/\/\S+[?&]response_type=code&\S*$/;

export interface AuthorizationRun {
  /** Compared character by character with the metadata's issuer: give it as the metadata does. */
  readonly issuer: string;
  /** A client without a secret, registered with `redirectUri`. */
  readonly clientId: string;
  readonly redirectUri: string;
  readonly resource?: string;
  /** Walks from the authorization URL to the redirect URI and returns that URL, not loaded yet. */
  readonly authorize: (authorizationUrl: URL, redirectUri: string) => Promise<URL>;
}

/**
 * A redirect URI of the kind that the suite listens on, at a port that is free now. The suite
 * binds it later, so a process in between could take it; a run then fails, it does not lie.
 */
export async function suiteRedirectUri(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return `http://127.0.0.1:${address.port}/callback`;
}

/** Both `authorization` scenarios; `authorize` plays the person when the suite asks for one. */
export async function runAuthorizationSuite(run: AuthorizationRun): Promise<SuiteReport> {
  const command = ['authorization', '--url', run.issuer, '--client-id', run.clientId];
  // Always -p: the default port of the command line overrides that of a settings file.
  command.push('-p', new URL(run.redirectUri).port);
  if (run.resource !== undefined) command.push('--resource', run.resource);
  let walk: Promise<unknown> | undefined;
  const report = await runSuite(command, undefined, (line) => {
    if (walk !== undefined || !AUTHORIZATION_URL.test(line)) return;
    // The suite outlives the walk, so a failure is kept until it has ended.
    walk = walkTo(run, new URL(line)).then(
      () => undefined,
      (cause) => cause,
    );
  });
  const failure = await walk;
  if (failure !== undefined) throw failure;
  return report;
}

/** The suite waits for the redirect to be loaded, as a browser would. */
async function walkTo(run: AuthorizationRun, authorizationUrl: URL): Promise<void> {
  try {
    await fetch(await run.authorize(authorizationUrl, run.redirectUri));
  } catch (cause) {
    // Without an answer the suite would wait five minutes: tell it, then tell the caller.
    await fetch(`${run.redirectUri}?error=server_error`).catch(() => {});
    throw cause;
  }
}
