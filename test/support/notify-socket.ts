import { dlopen, FFIType } from 'bun:ffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const LOOK_AGAIN_MS = 5;

/** A service manager's end of the notify socket. */
export interface NotifySocket {
  /** All assignments that came so far, in order: `READY=1`, `STATUS=…`. */
  readonly heard: readonly string[];
  /** Resolves with the first assignment, so far or to come, that begins so. */
  until(beginning: string, count?: number): Promise<string>;
  close(): void;
}

/** Listens on a unix datagram socket at a path; the runtime has none of its own. */
export function listenNotify(path: string): NotifySocket {
  const { symbols } = dlopen('libc.so.6', {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    recv: {
      args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32],
      returns: FFIType.i64,
    },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  const name = Buffer.concat([Uint8Array.of(AF_UNIX, 0), Buffer.from(`${path}\0`)]);
  const descriptor = symbols.socket(AF_UNIX, SOCK_DGRAM, 0);
  if (symbols.bind(descriptor, name, name.length) !== 0) throw new Error(`no socket at ${path}`);
  const buffer = new Uint8Array(64 * 1024);
  const heard: string[] = [];
  const take = () => {
    for (;;) {
      const length = Number(symbols.recv(descriptor, buffer, buffer.length, MSG_DONTWAIT));
      if (length <= 0) return;
      heard.push(...new TextDecoder().decode(buffer.subarray(0, length)).split('\n'));
    }
  };
  const timer = setInterval(take, LOOK_AGAIN_MS);
  return {
    get heard() {
      take();
      return heard;
    },
    async until(beginning, count = 1) {
      for (;;) {
        take();
        const found = heard.filter((text) => text.startsWith(beginning));
        const last = found[count - 1];
        if (last !== undefined) return last;
        await Bun.sleep(LOOK_AGAIN_MS);
      }
    },
    close() {
      clearInterval(timer);
      symbols.close(descriptor);
    },
  };
}
