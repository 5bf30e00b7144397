import type { ConfirmView, ConsentView, GoingOnView, ProblemView } from '../pages/views.ts';

/** Renders what people see; the composition root hands in app/pages. */
export interface AuthorizationPages {
  consent(view: ConsentView): Response;
  confirm(view: ConfirmView): Response;
  /** Goes on by a Refresh header and a link: a redirect after a form would be blocked by the CSP. */
  goingOn(view: GoingOnView): Response;
  problem(view: ProblemView): Response;
}
