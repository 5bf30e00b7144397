/**
 * Preloaded into the broker of a soak: whoever asks at the socket of `SOAK_COLLECTOR` is answered
 * when a whole garbage collection is done.
 */
import { rmSync } from 'node:fs';

const unix = process.env.SOAK_COLLECTOR ?? '';
// A broker that was killed has left its own.
rmSync(unix, { force: true });
Bun.serve({
  unix,
  fetch() {
    Bun.gc(true);
    return new Response();
  },
});
