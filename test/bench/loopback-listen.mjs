// Loaded into a server that has no option for its address: it listens on loopback only, and says
// on stdout at which port, so that port 0 can be asked for.
import { Server } from 'node:net';

const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  const listening = rest.findLast((argument) => typeof argument === 'function');
  const server = listen.call(this, { port: Number(port), host: '127.0.0.1' }, listening);
  server.once('listening', () => {
    process.stdout.write(`listening on port ${server.address().port}\n`);
  });
  return server;
};
