import { type AnyElysia, Elysia } from 'elysia';
import { digestOf, newToken, Secret, sameDigest } from '../base/secret.ts';
import type { SignInFailure } from '../forge/account-tokens.ts';
import type { Account } from '../store/accounts.ts';
import { seeOther } from './authorization-response.ts';
import { browserOf } from './browser.ts';
import { OAuthError } from './errors.ts';
import { issueCode } from './issue-code.ts';
import { answerGet, pageMethodNotAllowed } from './page-endpoint.ts';
import { type Parameters, queryOf } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { permissionView } from './permission-view.ts';
import { type Problem, ProblemError } from './problems.ts';
import { CALLBACK_DETAIL } from './reference/authorization.ts';
import {
  clientView,
  deniedUrl,
  destinationOf,
  forgeHostOf,
  type RunningRequest,
  restartUrl,
  runningRequest,
  STAGE_TTL_MS,
} from './running-request.ts';
import { permissionOf } from './scope.ts';

/** Where Forgejo sends the person back (RFC 6749 section 4.1.2): we are its client here. */
export function callbackEndpoint(parts: AuthorizationServerParts): AnyElysia {
  const app = new Elysia().get(
    '/oauth/callback',
    ({ request }) =>
      answerGet(parts, {
        request,
        limit: 'sign_in',
        run: () => comeBack(request, parts),
        retryUrl: null,
      }),
    { detail: CALLBACK_DETAIL },
  );
  return pageMethodNotAllowed(app, '/oauth/callback', ['GET'], parts);
}

async function comeBack(request: Request, parts: AuthorizationServerParts): Promise<Response> {
  const answer = forgeAnswerOf(queryOf(request));
  // Another broker makes the token calls from now on; nothing is taken, so it can go on from here.
  if (!parts.accountTokens.open) throw new ProblemError({ kind: 'moving' });
  const running = await takeRequest(request, answer.state, parts);
  if (answer.kind === 'error') return forgeRefused(answer.error, running, parts);
  const verifier = parts.keyring.upstreamVerifier(answer.state);
  const signedIn = await parts.accountTokens.signIn(answer.code, verifier);
  if (!signedIn.ok) return signInFailed(signedIn.error, running, parts);
  // The one account that may pass without a question is the one that the person saw and approved.
  if (signedIn.value.id === running.row.shownAccountId) {
    return answerClient(await issueCode(running, signedIn.value, parts), running, parts);
  }
  return askWho(signedIn.value, running, parts);
}

type ForgeAnswer =
  | { readonly kind: 'code'; readonly state: string; readonly code: Secret }
  | { readonly kind: 'error'; readonly state: string; readonly error: string };

function forgeAnswerOf(query: Parameters): ForgeAnswer {
  try {
    const state = query.require('state');
    const error = query.get('error');
    if (error !== undefined) return { kind: 'error', state, error };
    return { kind: 'code', state, code: new Secret(query.require('code')) };
  } catch (fault) {
    if (fault instanceof OAuthError) throw new ProblemError({ kind: 'finished', restartUrl: null });
    throw fault;
  }
}

/**
 * Finds the login that `state` belongs to and takes it, once. The browser is checked before anything
 * is taken: else an attacker could approve at home and have another person's browser finish it, or
 * could spoil a stranger's login by loading its callback.
 */
async function takeRequest(
  request: Request,
  state: string,
  parts: AuthorizationServerParts,
): Promise<RunningRequest> {
  const { authorizationRequests } = parts.store;
  const waiting = await authorizationRequests.findCallback(digestOf(state));
  if (waiting === undefined) throw new ProblemError({ kind: 'finished', restartUrl: null });
  const browser = browserOf(request);
  if (browser === undefined || !sameDigest(browser.digest, waiting.browserDigest)) {
    throw new ProblemError({ kind: 'other_browser', restartUrl: null });
  }
  const running = await runningRequest(waiting, parts);
  const taken = await authorizationRequests.takeCallback(digestOf(state));
  if (taken === undefined) throw new ProblemError({ kind: 'finished', restartUrl: null });
  return running;
}

/** Forgejo sent the person back with an error (RFC 6749 section 4.1.2.1). */
async function forgeRefused(
  error: string,
  running: RunningRequest,
  parts: AuthorizationServerParts,
): Promise<Response> {
  if (error === 'access_denied') {
    await parts.store.authorizationRequests.delete(running.row.digest);
    parts.metrics.authorizations.inc({ outcome: 'denied' });
    parts.log.info('authorization.denied', { client: running.row.clientId, by: 'forge' });
    return answerClient(deniedUrl(running, parts.publicOrigin), running, parts);
  }
  const passing = error === 'server_error' || error === 'temporarily_unavailable';
  return signInFailed(
    {
      kind: passing ? 'try_later' : 'misconfigured',
      detail: `the forge answered the authorization request with ${knownError(error)}`,
    },
    running,
    parts,
  );
}

const FORGE_ERRORS = [
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
];

/** The query is anybody's text, so only the codes of RFC 6749 reach the log. */
function knownError(error: string): string {
  return FORGE_ERRORS.find((known) => known === error) ?? 'an unknown error';
}

async function signInFailed(
  failure: SignInFailure,
  running: RunningRequest,
  parts: AuthorizationServerParts,
): Promise<never> {
  await parts.store.authorizationRequests.delete(running.row.digest);
  const detail =
    failure.kind === 'refused'
      ? `${failure.login ?? 'the account'} is ${failure.reason}`
      : failure.detail;
  throw new ProblemError(problemOf(failure, running, parts), detail);
}

function problemOf(
  failure: SignInFailure,
  running: RunningRequest,
  parts: AuthorizationServerParts,
): Problem {
  const forgeHost = forgeHostOf(parts.forgejoUrl);
  const restart = restartUrl(running.row, parts.publicOrigin);
  switch (failure.kind) {
    case 'sign_in_again':
      return { kind: 'sign_in_refused', forgeHost, restartUrl: restart };
    case 'try_later':
      return { kind: 'forge_away', forgeHost, restartUrl: restart };
    case 'misconfigured':
      return { kind: 'forge_misconfigured', forgeHost };
    case 'refused': {
      const backUrl = deniedUrl(running, parts.publicOrigin);
      const { login, reason } = failure;
      return { kind: 'account_refused', login, reason, forgeHost, backUrl };
    }
  }
}

/**
 * Sends the person on to the client. A browser that opens a program for a private-use URI stays where
 * it is: after a redirect that is the page before, which says that Forgejo comes next. So there a
 * page of ours stands in between.
 */
function answerClient(
  url: string,
  { known }: RunningRequest,
  parts: AuthorizationServerParts,
): Response {
  if (known.target.kind !== 'private_use') return seeOther(url);
  return parts.pages.goingOn({ to: 'client', url, destination: destinationOf(known.target) });
}

/** Names the account that came back and asks, since the person has not seen this name yet. */
async function askWho(
  account: Account,
  { row, known }: RunningRequest,
  parts: AuthorizationServerParts,
): Promise<Response> {
  const approval = newToken(parts.random);
  const kept = await parts.store.authorizationRequests.toConfirm(
    row.digest,
    account.id,
    digestOf(approval),
    parts.clock.now() + STAGE_TTL_MS,
  );
  const restart = restartUrl(row, parts.publicOrigin);
  if (!kept) throw new ProblemError({ kind: 'finished', restartUrl: restart });
  return parts.pages.confirm({
    client: clientView(known),
    permission: permissionView(permissionOf(row), parts.scopes),
    forgeHost: forgeHostOf(parts.forgejoUrl),
    forgeUrl: parts.forgejoUrl,
    login: account.login,
    restartUrl: restart,
    form: { action: '/oauth/confirm', request: row.digest, approval },
  });
}
