/** How much of an answer is read for it: an error says what it is at its beginning. */
const CHARACTERS_MAX = 4096;

/** Words with which a program tells that the forge did not honour its token. */
const WORDS = /\b401\b|unauthori[sz]ed|token (?:is |has )?(?:expired|invalid|revoked|required)/i;

/**
 * Whether the answer to a call may come from a token that is dead: the child talks to the forge,
 * and the broker hears of a 401 only in such words. A guess: the forge itself is asked then.
 */
export function looksRefused(text: string, failed: boolean): boolean {
  if (!failed && !text.includes('"isError":true')) return false;
  return WORDS.test(text.length > CHARACTERS_MAX ? text.slice(0, CHARACTERS_MAX) : text);
}
