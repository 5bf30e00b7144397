/** Why a bearer credential was refused, in the words of RFC 6750 section 3.1. */
export interface ChallengeError {
  readonly code: 'invalid_request' | 'invalid_token' | 'insufficient_scope';
  /** Printable ASCII without quotes and backslashes (RFC 6750 section 3): always a text of ours. */
  readonly description: string;
  /** All that is needed; by default what a connection usually needs. */
  readonly scope?: string;
}

/** Writes the value of `WWW-Authenticate`. */
export type Challenge = (error?: ChallengeError) => string;

/**
 * The challenge of this resource (RFC 6750 section 3). `resource_metadata` (RFC 9728 section 5.1) is
 * how a client that knows only the address finds the authorization server; `scope` is what it should
 * ask for there. Without an error when there were no credentials: there is nothing to complain about.
 */
export function bearerChallenge(resource: {
  readonly metadataUrl: string;
  /** What a connection usually needs; asked at every refusal. */
  readonly scope: () => string;
}): Challenge {
  return (error) => {
    const common = `resource_metadata="${resource.metadataUrl}", scope="${error?.scope ?? resource.scope()}"`;
    return error === undefined
      ? `Bearer ${common}`
      : `Bearer error="${error.code}", error_description="${error.description}", ${common}`;
  };
}
