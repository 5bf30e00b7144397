import type { RedirectTarget } from '../base/redirect-target.ts';

/** Who asks, as a person needs to know it. */
export interface ClientView {
  /** The client's own claim, or the administrator's word when `verified`; may be empty. */
  readonly name: string;
  /** The administrator of this server wrote the client into its configuration. */
  readonly verified: boolean;
  /** Where the answer goes: the one thing about a client that is no mere claim. */
  readonly returnsTo: RedirectTarget;
}

/** What the buttons of a page send back. */
export interface DecisionForm {
  readonly action: string;
  /** Names the authorization request; worth nothing without `approval` and the browser's cookie. */
  readonly request: string;
  /** One-time value of this page. */
  readonly approval: string;
}

/** A choice in the words that people read; `detail` may be empty. */
export interface Meaning {
  readonly title: string;
  readonly detail: string;
}

/** One box or radio button. */
export interface Option extends Meaning {
  readonly value: string;
  readonly chosen: boolean;
  /** Deserves a second look. */
  readonly isGrave: boolean;
}

/** What a person can choose on the consent page, with what is chosen already. */
export interface ChoicesView {
  /** From the least to the most that the administrator lets people allow. */
  readonly scopes: readonly Option[];
  /** The administrator does not let people allow everything. */
  readonly isCut: boolean;
  readonly toolsets: readonly Option[];
  /** Patterns, one a line; empty: everywhere. */
  readonly targets: string;
  /** Less than all tools, or less than everywhere, is chosen. */
  readonly isNarrowed: boolean;
  /** What is wrong with the choice that was sent. */
  readonly fault: string | null;
}

/** What was chosen; null is all. */
export interface PermissionView {
  /** The largest scope, whatever limits it. */
  readonly isEverything: boolean;
  readonly scope: Meaning;
  readonly toolsets: readonly string[] | null;
  readonly targets: readonly string[] | null;
}

export interface ConsentView {
  readonly client: ClientView;
  readonly choices: ChoicesView;
  readonly forgeHost: string;
  /** Who signed in with this browser before. */
  readonly login: string | null;
  readonly form: DecisionForm;
}

export interface ConfirmView {
  readonly client: ClientView;
  readonly permission: PermissionView;
  readonly forgeHost: string;
  readonly forgeUrl: string;
  /** Who came back from the forge. */
  readonly login: string;
  /** Starts the same authorization anew, for another account. */
  readonly restartUrl: string;
  readonly form: DecisionForm;
}

export interface GoingOnView {
  readonly to: 'forge' | 'client';
  readonly url: string;
  /** Where it leads, in words: a host, or the name of a program. */
  readonly destination: string;
}

export interface ProblemView {
  readonly status: number;
  readonly title: string;
  readonly paragraphs: readonly string[];
  readonly links: readonly { readonly href: string; readonly label: string }[];
}
