/** Why no release was made: a sentence for the person who asked for one. */
export class ReleaseFailure extends Error {
  override readonly name = 'ReleaseFailure';
}
