import { connect } from 'node:net';

/** Whether a process listens on a socket; what is left of a process that was killed is `dead`. */
export function probeSocket(path: string): Promise<'answers' | 'dead'> {
  const { promise, resolve } = Promise.withResolvers<'answers' | 'dead'>();
  const socket = connect(path);
  socket.once('connect', () => {
    socket.destroy();
    resolve('answers');
  });
  // Only a refused connection proves that nobody is there; a full queue, say, proves the contrary.
  socket.once('error', (error: Error & { readonly code?: string }) => {
    resolve(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'dead' : 'answers');
  });
  return promise;
}
