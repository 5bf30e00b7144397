import { asDigest, type Digest, digestOf, sameDigest } from '../base/secret.ts';
import type { AuthorizationStage } from '../store/authorization-requests.ts';
import { browserOf, isSameOrigin } from './browser.ts';
import { formOf, type Parameters } from './parameters.ts';
import type { AuthorizationServerParts } from './parts.ts';
import { ProblemError } from './problems.ts';
import { type RunningRequest, restartUrl, runningRequest } from './running-request.ts';

/** What a person answered on one of our pages, after every check but that of the one-time value. */
export interface Decision extends RunningRequest {
  readonly allowed: boolean;
  /** Of the page's one-time value; the store takes it, once. */
  readonly approvalDigest: Digest;
  /** What else the page sent. */
  readonly form: Parameters;
  /** Starts the same authorization anew. */
  readonly restartUrl: string;
}

/**
 * Reads the POST of a page in `stage`. It counts only when it comes from our own page (no site can
 * press the button for a person) and from the browser in which the login began (nobody can send a
 * person the second half of somebody else's login). Throws `ProblemError`.
 */
export async function readDecision(
  request: Request,
  stage: AuthorizationStage,
  parts: Pick<AuthorizationServerParts, 'store' | 'redirectAllowlist' | 'publicOrigin'>,
): Promise<Decision> {
  if (!isSameOrigin(request, parts.publicOrigin)) throw new ProblemError({ kind: 'form_foreign' });
  const form = await pageFormOf(request);
  const decision = form.require('decision');
  if (decision !== 'allow' && decision !== 'deny') {
    throw new ProblemError({ kind: 'form_broken', status: 400 });
  }
  const row = await parts.store.authorizationRequests.find(asDigest(form.require('request')));
  if (row === undefined) throw new ProblemError({ kind: 'finished', restartUrl: null });
  const restart = restartUrl(row, parts.publicOrigin);
  const browser = browserOf(request);
  if (browser === undefined || !sameDigest(browser.digest, row.browserDigest)) {
    throw new ProblemError({ kind: 'other_browser', restartUrl: restart });
  }
  if (row.stage !== stage) throw new ProblemError({ kind: 'finished', restartUrl: restart });
  return {
    ...(await runningRequest(row, parts)),
    form,
    allowed: decision === 'allow',
    approvalDigest: digestOf(form.require('approval')),
    restartUrl: restart,
  };
}

async function pageFormOf(request: Request): Promise<Parameters> {
  const form = await formOf(request);
  if (form.ok) return form.value;
  const status = { wrong_type: 415, too_large: 413, aborted: 400 } as const;
  throw new ProblemError({ kind: 'form_broken', status: status[form.error] });
}
