import { dlopen, FFIType } from 'bun:ffi';

/** Sends one datagram; throws when it cannot be sent. */
export type SendDatagram = (text: string) => void;

const AF_UNIX = 1;
/** SOCK_DGRAM | SOCK_CLOEXEC: no child of ours may speak for the service. */
const SOCKET_TYPE = 2 | 0o2000000;
/** MSG_NOSIGNAL | MSG_DONTWAIT: a manager that does not read must not stop the event loop. */
const SEND_FLAGS = 0x4000 | 0x40;

/**
 * Opens the way to a unix datagram socket: a path, or `@name` in the abstract namespace
 * (sd_notify(3), NOTIFY_SOCKET). The runtime has no such sockets, so the C library is called.
 * Throws when the system refuses.
 */
export function openNotifySocket(address: string): SendDatagram {
  const { symbols } = dlopen('libc.so.6', {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    sendto: {
      args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
      returns: FFIType.i64,
    },
  });
  const name = socketAddress(address);
  const descriptor = symbols.socket(AF_UNIX, SOCKET_TYPE, 0);
  if (descriptor < 0) throw new Error('the system gives no datagram socket');
  return (text) => {
    const bytes = new TextEncoder().encode(text);
    const sent = symbols.sendto(descriptor, bytes, bytes.length, SEND_FLAGS, name, name.length);
    if (Number(sent) !== bytes.length) throw new Error(`nothing could be sent to ${address}`);
  };
}

/** A `struct sockaddr_un` (unix(7)): the family in two bytes, then the path with its zero. */
function socketAddress(address: string): Uint8Array {
  const isAbstract = address.startsWith('@');
  const path = new TextEncoder().encode(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  const bytes = new Uint8Array(2 + path.length);
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(path, 2);
  return bytes;
}
