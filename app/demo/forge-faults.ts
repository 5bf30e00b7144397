import { type Clock, sleep } from '../base/clock.ts';
import { html, json } from './forge-http.ts';
import { proxyPage } from './forge-pages.ts';

/**
 * What goes wrong. With `slow`, `hold`, `cut` and `edit` Forgejo has done its work (a rotated token
 * is rotated) and only the answer suffers; the others stand in front of it, like a broken proxy.
 */
export type DemoFault =
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Keeps the answer back until `release()`. */
  | { readonly kind: 'hold' }
  /** Ends the connection in the middle of the answer. */
  | { readonly kind: 'cut' }
  /** Changes the JSON of the answer. */
  | { readonly kind: 'edit'; readonly edit: (body: Record<string, unknown>) => unknown }
  | { readonly kind: 'status'; readonly status: number }
  /** A page with status 200. */
  | { readonly kind: 'html' }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'oversized'; readonly bytes: number }
  | { readonly kind: 'answer'; readonly status: number; readonly body: unknown }
  /** Nothing listens at the forge's address; connections are refused. */
  | { readonly kind: 'refuse' };

/** Where and how often a fault strikes: every path, and for ever, unless it says otherwise. */
export interface DemoFaultReach {
  /** A path, or several: `/login/oauth/access_token`. */
  readonly on?: string | readonly string[];
  readonly times?: number;
}

export interface DemoFaultHandle {
  /** How many requests it has struck. */
  readonly struck: number;
  /** Resolves when it strikes for the first time, after Forgejo did its work. */
  readonly reached: Promise<void>;
  /** Lets the held answers go, and later ones pass at once. */
  release(): void;
}

export interface DemoFaults {
  set(fault: DemoFault, reach?: DemoFaultReach): DemoFaultHandle;
  /** Ends every fault, releases what is held, and listens again. */
  clear(): void;
}

/** What the listener asks of the faults for each request. */
export interface FaultGate extends DemoFaults {
  answer(path: string, work: () => Response): Promise<Response>;
}

interface SetFault extends DemoFaultHandle {
  readonly fault: DemoFault;
  readonly released: Promise<void>;
  takes(path: string): boolean;
  strike(): void;
}

export function createFaults(options: {
  readonly clock: Clock;
  readonly onRefuse: () => void;
  readonly onClear: () => void;
}): FaultGate {
  let faults: SetFault[] = [];
  return {
    set(fault, reach = {}) {
      const made = setFault(fault, reach);
      faults.push(made);
      if (fault.kind === 'refuse') options.onRefuse();
      return made;
    },
    clear() {
      for (const fault of faults) fault.release();
      faults = [];
      options.onClear();
    },
    async answer(path, work) {
      const struck = faults.find((fault) => fault.takes(path));
      if (struck === undefined) return work();
      return spoil(struck, work, options.clock);
    },
  };
}

function setFault(fault: DemoFault, { on, times }: DemoFaultReach): SetFault {
  const paths = typeof on === 'string' ? [on] : on;
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let struck = 0;
  return {
    fault,
    get struck() {
      return struck;
    },
    reached: reached.promise,
    released: released.promise,
    release: () => released.resolve(),
    takes(path) {
      const here = paths?.includes(path) ?? true;
      if (!here || struck >= (times ?? Number.POSITIVE_INFINITY)) return false;
      struck += 1;
      return true;
    },
    strike: () => reached.resolve(),
  };
}

async function spoil(set: SetFault, work: () => Response, clock: Clock): Promise<Response> {
  const { fault } = set;
  switch (fault.kind) {
    case 'slow':
    case 'hold': {
      const answer = work();
      set.strike();
      await (fault.kind === 'hold' ? set.released : sleep(clock, fault.delayMs));
      return answer;
    }
    case 'cut': {
      const answer = await work().text();
      set.strike();
      return cutAnswer(answer);
    }
    case 'edit': {
      const answer = work();
      const body: unknown = await answer.json();
      set.strike();
      return json(answer.status, fault.edit(typeof body === 'object' ? { ...body } : {}));
    }
    case 'status':
      set.strike();
      return html(fault.status, proxyPage(fault.status));
    case 'html':
      set.strike();
      return html(200, proxyPage(200));
    case 'redirect':
      set.strike();
      return new Response(null, { status: 302, headers: { location: fault.location } });
    case 'oversized':
      set.strike();
      return json(200, { padding: 'x'.repeat(fault.bytes) });
    case 'answer':
      set.strike();
      return json(fault.status, fault.body);
    case 'refuse':
      // A connection that was open when the listener closed.
      set.strike();
      return cutAnswer('');
  }
}

/** Half of the text, then an error: the runtime resets the connection, and prints no reason. */
function cutAnswer(text: string): Response {
  const half = new TextEncoder().encode(`${text.slice(0, text.length / 2)} `);
  let sent = false;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent) {
        controller.error(undefined);
        return;
      }
      sent = true;
      controller.enqueue(half);
    },
  });
  return new Response(stream, { headers: { 'content-type': 'application/json' } });
}
