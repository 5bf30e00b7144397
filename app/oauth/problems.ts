import type { ProblemView } from '../pages/views.ts';

/**
 * What can stand in a person's way. The answer is a page, never a redirect: either nobody is known
 * to redirect to, or the person can do more about it than the client. A `restartUrl` starts the
 * same authorization anew.
 */
export type Problem =
  | { readonly kind: 'link_incomplete' }
  | { readonly kind: 'client_unknown' }
  | { readonly kind: 'redirect_uri_unknown' }
  | { readonly kind: 'form_broken'; readonly status: 400 | 413 | 415 }
  | { readonly kind: 'form_foreign' }
  | { readonly kind: 'wrong_method' }
  | { readonly kind: 'other_browser'; readonly restartUrl: string | null }
  | { readonly kind: 'finished'; readonly restartUrl: string | null }
  | { readonly kind: 'sign_in_refused'; readonly forgeHost: string; readonly restartUrl: string }
  | { readonly kind: 'forge_away'; readonly forgeHost: string; readonly restartUrl: string }
  | { readonly kind: 'forge_misconfigured'; readonly forgeHost: string }
  | {
      readonly kind: 'account_refused';
      readonly reason: 'inactive' | 'prohibited';
      /** Unknown where the forge does not tell whom it refuses. */
      readonly login: string | null;
      readonly forgeHost: string;
      readonly backUrl: string;
    }
  /** The program is being replaced; the same request, made again, meets the new one. */
  | { readonly kind: 'moving' }
  | { readonly kind: 'store_away'; readonly retryUrl: string | null }
  | { readonly kind: 'too_many'; readonly retryAfterS: number };

/** Ends a page's request with a problem; `detail` is for the log alone. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;
  readonly detail: string | undefined;

  constructor(problem: Problem, detail?: string) {
    super(problem.kind);
    this.problem = problem;
    this.detail = detail;
  }
}

const START_AGAIN = 'Start again';
const FROM_THE_APPLICATION =
  'Go back to your application and connect from there once more. Nothing was allowed, and nothing is lost.';

/** The words of each problem: what is wrong, and what the person can do. */
export function describeProblem(problem: Problem): ProblemView {
  switch (problem.kind) {
    case 'link_incomplete':
      return page(400, 'This link is not complete', [
        'It does not say, or says twice, which application wants to connect.',
        FROM_THE_APPLICATION,
      ]);
    case 'client_unknown':
      return page(400, 'This application is not known here', [
        'It may have been registered long ago and never used, or with another server.',
        'Remove the connection in your application and add it again: that registers it anew.',
      ]);
    case 'redirect_uri_unknown':
      return page(400, 'This link leads somewhere it must not', [
        'The address to return to is not one that the application has registered, so nobody was sent there.',
        FROM_THE_APPLICATION,
      ]);
    case 'form_broken':
      return page(problem.status, 'This form cannot be read', [FROM_THE_APPLICATION]);
    case 'form_foreign':
      return page(403, 'This answer did not come from our page', [
        'Another site, or a program that is not your browser, has sent it. It was not accepted.',
        FROM_THE_APPLICATION,
      ]);
    case 'wrong_method':
      return page(405, 'This address cannot be opened by itself', [
        'It belongs to the middle of a sign-in. If your application is connected, you can close this page.',
        'If it is not, go back to your application and connect from there once more.',
      ]);
    case 'other_browser':
      return page(
        403,
        'Go on in the browser where you began',
        [
          'This sign-in was begun in another browser, or the browser did not keep our cookie. For your protection it can only go on where it began.',
          'If you followed a link that somebody sent to you, close this page.',
        ],
        restartLink(problem.restartUrl),
      );
    case 'finished':
      return page(
        400,
        'This sign-in is already over',
        [
          'It was used before, or it waited too long. If your application is connected, you can close this page.',
          problem.restartUrl === null
            ? 'If it is not, go back to your application and connect from there once more.'
            : 'If it is not, start again.',
        ],
        restartLink(problem.restartUrl),
      );
    case 'sign_in_refused':
    case 'forge_away':
    case 'forge_misconfigured':
    case 'account_refused':
    case 'moving':
    case 'store_away':
    case 'too_many':
      return describeOutsideProblem(problem);
  }
}

/** Those that neither the link nor the person has caused. */
type OutsideProblem = Extract<
  Problem,
  {
    kind:
      | 'sign_in_refused'
      | 'moving'
      | 'forge_away'
      | 'forge_misconfigured'
      | 'account_refused'
      | 'store_away'
      | 'too_many';
  }
>;

function describeOutsideProblem(problem: OutsideProblem): ProblemView {
  switch (problem.kind) {
    case 'sign_in_refused':
      return page(
        400,
        'The sign-in did not work',
        [`${problem.forgeHost} did not accept it. This happens when a sign-in takes too long.`],
        restartLink(problem.restartUrl),
      );
    case 'forge_away':
      return page(
        503,
        'Forgejo cannot be reached now',
        [
          `${problem.forgeHost} does not answer, or answers with an error. Nothing was allowed, and nothing is lost.`,
          'Wait a moment and try again.',
        ],
        [{ href: problem.restartUrl, label: 'Try again' }],
      );
    case 'forge_misconfigured':
      return page(502, 'This server is not set up correctly', [
        `It is not able to sign people in at ${problem.forgeHost}. Trying again will not help.`,
        'Please tell the administrator of this server; the reason is in its log.',
      ]);
    case 'account_refused': {
      const account = problem.login === null ? 'This account' : `The account ${problem.login}`;
      return page(
        403,
        `${account} may not sign in`,
        [
          problem.reason === 'inactive'
            ? `${account} is not active at ${problem.forgeHost}.`
            : `${account} is not allowed to sign in at ${problem.forgeHost}.`,
          `The administrator of ${problem.forgeHost} can change that. No access was given.`,
        ],
        [{ href: problem.backUrl, label: 'Back to the application' }],
      );
    }
    case 'moving':
      return page(503, 'One moment', [
        'This server is being replaced by a newer one. This page tries again by itself.',
      ]);
    case 'store_away':
      return page(
        503,
        'This server cannot work now',
        [
          'It cannot keep anything at the moment. Nothing was allowed, and nothing is half done.',
          'Wait a moment, then try again from your application.',
        ],
        problem.retryUrl === null ? [] : [{ href: problem.retryUrl, label: 'Try again' }],
      );
    case 'too_many':
      return page(429, 'Too many sign-ins from here', [
        'Your network, or your account, has asked for more than this server allows. Nothing is lost.',
        `Wait ${waitOf(problem.retryAfterS)}, then load this page again.`,
      ]);
  }
}

function waitOf(seconds: number): string {
  if (seconds === 1) return 'a second';
  return seconds <= 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`;
}

function restartLink(href: string | null): ProblemView['links'] {
  return href === null ? [] : [{ href, label: START_AGAIN }];
}

function page(
  status: number,
  title: string,
  paragraphs: readonly string[],
  links: ProblemView['links'] = [],
): ProblemView {
  return { status, title, paragraphs, links };
}
