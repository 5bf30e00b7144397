import { type AnyElysia, Elysia } from 'elysia';
import { refuse } from './consent.ts';
import { type Decision, readDecision } from './decision.ts';
import { issueCode } from './issue-code.ts';
import { answerPerson, pageMethodNotAllowed } from './page-endpoint.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { ProblemError } from './problems.ts';
import { CONFIRM_DETAIL } from './reference/authorization.ts';
import { destinationOf } from './running-request.ts';

/**
 * Takes the person's answer to the page that names the account. Without it, whoever is signed in at
 * Forgejo in this browser would be connected without having seen by which name (a person can be
 * signed in there as somebody else, by an attacker's doing too).
 */
export function confirmEndpoint(parts: AuthorizationServerParts): AnyElysia {
  const app = new Elysia().post(
    '/oauth/confirm',
    ({ request }) =>
      answerPerson(parts, {
        request,
        limit: 'sign_in',
        run: () => decideConfirm(request, parts),
        retryUrl: null,
      }),
    { parse: 'none', detail: CONFIRM_DETAIL },
  );
  return pageMethodNotAllowed(app, '/oauth/confirm', ['POST'], parts);
}

async function decideConfirm(request: Request, parts: AuthorizationServerParts): Promise<Response> {
  const decision = await readDecision(request, 'confirm', parts);
  return decision.allowed ? confirm(decision, parts) : refuse(decision, parts);
}

async function confirm(decision: Decision, parts: AuthorizationServerParts): Promise<Response> {
  const { authorizationRequests, accounts } = parts.store;
  const taken = await authorizationRequests.takeConfirm(
    decision.row.digest,
    decision.approvalDigest,
  );
  const account =
    taken === undefined || taken.accountId === null
      ? undefined
      : await accounts.find(taken.accountId);
  if (account === undefined) {
    throw new ProblemError({ kind: 'finished', restartUrl: decision.restartUrl });
  }
  const url = await issueCode(decision, account, parts);
  return parts.pages.goingOn({
    to: 'client',
    url,
    destination: destinationOf(decision.known.target),
  });
}
