import { type Digest, digestOf, sameDigest } from '../base/secret.ts';

/** RFC 7636 section 4.2: base64url of a SHA-256 is always 43 characters. */
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/;

/** RFC 7636 section 4.1. */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** True for what an S256 challenge looks like. */
export function isCodeChallenge(value: string): boolean {
  return CHALLENGE.test(value);
}

/** RFC 7636 section 4.6, method S256; a verifier outside of its alphabet or length never matches. */
export function verifierMatches(codeVerifier: string, codeChallenge: string): boolean {
  if (!VERIFIER.test(codeVerifier)) return false;
  return sameDigest(digestOf(codeVerifier), codeChallenge as Digest);
}
