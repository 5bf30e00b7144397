import { confirmPage } from './confirm.ts';
import { consentPage } from './consent.ts';
import { goingOnPage } from './going-on.ts';
import { problemPage } from './problem.ts';

/** The pages of a sign-in, as the authorization server asks for them. */
export const authorizationPages = {
  consent: consentPage,
  confirm: confirmPage,
  goingOn: goingOnPage,
  problem: problemPage,
};
