import { serveOnStdio } from '../demo/child.ts';
import { type Command, EXIT } from './command.ts';

/**
 * The child of the demo, where no forgejo-mcp is installed: a compiled program has no file of source
 * that another process could run. Ends with its stdin, or when it is asked to.
 */
export const demoChild: Command = async ({ argv, stopAsked }) => {
  const ended = await Promise.race([serveOnStdio(argv), stopAsked]);
  return ended === 1 ? EXIT.failed : EXIT.stopped;
};
