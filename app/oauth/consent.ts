import { type AnyElysia, Elysia } from 'elysia';
import { digestOf, newToken } from '../base/secret.ts';
import { serializePermission } from '../tools/permission.ts';
import { consentPage } from './consent-page.ts';
import { type Decision, readDecision } from './decision.ts';
import { answerPerson, pageMethodNotAllowed } from './page-endpoint.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { type ChoiceFault, readChoice } from './permission-choice.ts';
import { ProblemError } from './problems.ts';
import { CONSENT_DETAIL } from './reference/authorization.ts';
import { deniedUrl, destinationOf, forgeHostOf, STAGE_TTL_MS } from './running-request.ts';

/** Takes the person's answer to the consent page. */
export function consentEndpoint(parts: AuthorizationServerParts): AnyElysia {
  const app = new Elysia().post(
    '/oauth/consent',
    ({ request }) =>
      answerPerson(parts, {
        request,
        limit: 'sign_in',
        run: () => decideConsent(request, parts),
        retryUrl: null,
      }),
    { parse: 'none', detail: CONSENT_DETAIL },
  );
  return pageMethodNotAllowed(app, '/oauth/consent', ['POST'], parts);
}

async function decideConsent(request: Request, parts: AuthorizationServerParts): Promise<Response> {
  const decision = await readDecision(request, 'consent', parts);
  return decision.allowed ? approve(decision, parts) : refuse(decision, parts);
}

/**
 * Only now does an upstream `state` exist: a person who has not approved cannot come back from
 * Forgejo with one. It is good once and for this browser; its PKCE verifier is derived from it, so
 * neither is kept.
 */
async function approve(decision: Decision, parts: AuthorizationServerParts): Promise<Response> {
  const chosen = readChoice(decision.form, parts.scopes);
  if (!chosen.ok) return askAgain(decision, chosen.error, parts);
  const state = parts.keyring.upstreamState(newToken(parts.random));
  const approved = await parts.store.authorizationRequests.approve(decision.row.digest, {
    approvalDigest: decision.approvalDigest,
    upstreamStateDigest: digestOf(state),
    permission: serializePermission(chosen.value),
    expiresAt: parts.clock.now() + STAGE_TTL_MS,
  });
  if (approved === undefined) {
    throw new ProblemError({ kind: 'finished', restartUrl: decision.restartUrl });
  }
  parts.metrics.authorizations.inc({ outcome: 'approved' });
  parts.log.info('authorization.approved', {
    client: decision.row.clientId,
    scope: chosen.value.scope,
  });
  const codeVerifier = parts.keyring.upstreamVerifier(state);
  return parts.pages.goingOn({
    to: 'forge',
    url: parts.forge.authorizationUrl({ state, codeVerifier }).href,
    destination: forgeHostOf(parts.forgejoUrl),
  });
}

/** The same page, with the same one-time value: nothing was taken yet. */
async function askAgain(
  decision: Decision,
  { choice, sentence }: ChoiceFault,
  parts: AuthorizationServerParts,
): Promise<Response> {
  const { row, known, form } = decision;
  const session = await parts.store.browserSessions.find(row.browserDigest);
  return consentPage(
    {
      known,
      login: session?.login ?? null,
      choice,
      fault: sentence,
      form: { request: row.digest, approval: form.require('approval') },
    },
    parts,
  );
}

/** A page of ours, from the right browser, said no: there is nothing more to prove. */
export async function refuse(
  decision: Decision,
  parts: AuthorizationServerParts,
): Promise<Response> {
  await parts.store.authorizationRequests.delete(decision.row.digest);
  parts.metrics.authorizations.inc({ outcome: 'denied' });
  parts.log.info('authorization.denied', { client: decision.row.clientId });
  return parts.pages.goingOn({
    to: 'client',
    url: deniedUrl(decision, parts.publicOrigin),
    destination: destinationOf(decision.known.target),
  });
}
