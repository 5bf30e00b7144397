import { type AnyElysia, Elysia } from 'elysia';
import { digestOf, newToken } from '../base/secret.ts';
import { scopeText } from '../tools/scopes.ts';
import {
  checkRequest,
  identifyRedirect,
  type KnownRedirect,
  type SoundRequest,
  stateOf,
} from './authorization-request.ts';
import { errorResponseUrl, seeOther } from './authorization-response.ts';
import { type Browser, nameBrowser } from './browser.ts';
import { consentPage } from './consent-page.ts';
import { logRefusal, unavailable } from './endpoint.ts';
import { OAuthError } from './errors.ts';
import { answerGet, pageMethodNotAllowed } from './page-endpoint.ts';
import { type Parameters, queryOf } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { proposedChoice } from './permission-choice.ts';
import { AUTHORIZE_DETAIL } from './reference/authorization.ts';
import { STAGE_TTL_MS } from './running-request.ts';

/**
 * The authorization endpoint (RFC 6749 section 3.1). A sound request is answered with our own
 * consent page, always: Forgejo asks a person once for all clients behind this server and is silent
 * from then on, so without this page any registered client could take a code unseen.
 */
export function authorizationEndpoint(parts: AuthorizationServerParts): AnyElysia {
  const app = new Elysia();
  for (const path of ['/oauth/authorize', '/authorize']) {
    app.get(
      path,
      ({ request }) =>
        answerGet(parts, {
          request,
          limit: 'authorize',
          run: () => authorize(request, parts),
          retryUrl: `${parts.publicOrigin}/oauth/authorize${new URL(request.url).search}`,
        }),
      { detail: AUTHORIZE_DETAIL },
    );
    pageMethodNotAllowed(app, path, ['GET'], parts);
  }
  return app;
}

async function authorize(request: Request, parts: AuthorizationServerParts): Promise<Response> {
  const query = queryOf(request);
  const known = await identifyRedirect(query, {
    clients: parts.store.clients,
    redirectAllowlist: parts.redirectAllowlist,
  });
  try {
    const sound = checkRequest(query, known, parts.publicOrigin);
    return await askForConsent(sound, nameBrowser(request, parts.random), parts);
  } catch (error) {
    if (error instanceof OAuthError && error.mayRedirect) {
      return redirectError(error, query, known, parts);
    }
    throw error;
  }
}

async function askForConsent(
  sound: SoundRequest,
  browser: Browser,
  parts: AuthorizationServerParts,
): Promise<Response> {
  const { store, random, scopes } = parts;
  const reference = digestOf(newToken(random));
  const approval = newToken(random);
  const session = await store.browserSessions.find(browser.digest);
  const accountId = session?.accountId ?? null;
  const kept = await store.authorizationRequests.create(
    {
      digest: reference,
      clientId: sound.client.id,
      redirectUri: sound.requestedRedirectUri,
      codeChallenge: sound.codeChallenge,
      clientState: sound.state,
      scope: scopeText(sound.asked ?? scopes.default()),
      resource: sound.resource,
      browserDigest: browser.digest,
      shownAccountId: accountId,
      expiresAt: parts.clock.now() + STAGE_TTL_MS,
    },
    digestOf(approval),
    parts.limits.requestsMax,
  );
  if (!kept) {
    parts.metrics.limitsReached.inc({ limit: 'AUTHORIZATION_REQUESTS' });
    throw unavailable('too many sign-ins are on their way', 'the limit of requests is reached');
  }
  parts.metrics.authorizations.inc({ outcome: 'asked' });
  parts.log.info('authorization.asked', { client: sound.client.id });
  const earlier =
    accountId === null ? undefined : await store.grants.findLatest(accountId, sound.client.id);
  const response = consentPage(
    {
      known: sound,
      login: session?.login ?? null,
      choice: proposedChoice({
        asked: sound.asked,
        earlier: earlier?.permission ?? null,
        limits: scopes,
      }),
      fault: null,
      form: { request: reference, approval },
    },
    parts,
  );
  response.headers.append('set-cookie', browser.setCookie);
  return response;
}

function redirectError(
  error: OAuthError,
  query: Parameters,
  known: KnownRedirect,
  parts: AuthorizationServerParts,
): Response {
  parts.metrics.authorizations.inc({ outcome: 'refused' });
  logRefusal(parts.log, 'authorization.refused', error, { client: known.client.id });
  const { redirectUri } = known;
  const target = { redirectUri, state: stateOf(query), issuer: parts.publicOrigin };
  return seeOther(errorResponseUrl(target, error));
}
