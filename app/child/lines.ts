const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Turns the bytes of a pipe into lines; at most `lineBytesMax` bytes wait in it. */
export interface LineReader {
  /**
   * Takes the next bytes of the pipe and gives out the lines that are complete now, as long as there
   * is room for more. Returns how many bytes it took; the rest is to be pushed again.
   */
  push(chunk: Uint8Array): number;
  /** Gives out what stands behind the last line feed, if anything, at the end of the pipe. */
  flush(): void;
}

/**
 * Creates a reader of UTF-8 lines without their line ends. A line longer than `lineBytesMax` bytes
 * is given out once, cut there, with `cut` true; its rest is skipped.
 */
export function createLineReader(options: {
  readonly lineBytesMax: number;
  readonly onLine: (line: string, cut: boolean) => void;
  /** Asked after each line: whether the next one may be given out. */
  readonly hasRoom?: () => boolean;
}): LineReader {
  const { lineBytesMax, onLine, hasRoom = () => true } = options;
  let parts: Uint8Array[] = [];
  let waitingBytes = 0;
  let skipping = false;

  const finish = (last: Uint8Array): void => {
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    const cut = whole.length > lineBytesMax;
    parts = [];
    waitingBytes = 0;
    onLine(decode(cut ? whole.subarray(0, lineBytesMax) : whole), cut);
  };

  return {
    push(chunk) {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(LINE_FEED, start);
        if (end === -1) break;
        if (skipping) skipping = false;
        else finish(chunk.subarray(start, end));
        start = end + 1;
        if (!hasRoom()) return start;
      }
      if (skipping || start === chunk.length) return chunk.length;
      const rest = chunk.subarray(start);
      if (waitingBytes + rest.length > lineBytesMax) {
        skipping = true;
        finish(rest);
        return chunk.length;
      }
      parts.push(rest);
      waitingBytes += rest.length;
      return chunk.length;
    },
    flush() {
      if (waitingBytes > 0) finish(new Uint8Array(0));
    },
  };
}

/**
 * Decodes a whole line at once: a chunk may end inside a character, so chunks are never decoded.
 * Invalid UTF-8 becomes U+FFFD.
 */
function decode(bytes: Uint8Array): string {
  const length = bytes.at(-1) === CARRIAGE_RETURN ? bytes.length - 1 : bytes.length;
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('utf8');
}
