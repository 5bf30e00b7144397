/**
 * A process with a supervisor and children, to be killed by a test. The arguments are the flags of
 * the fixture child; a line on stdout names the children once they answer.
 */
import { fixtureSupervisor, Talk } from './fixture-supervisor.ts';

const { supervisor } = fixtureSupervisor(process.argv.slice(2));
const talks = [new Talk(supervisor), new Talk(supervisor)];
await Promise.all(talks.map((talk) => talk.tool('echo')));
process.stdout.write(`${JSON.stringify(talks.map((talk) => talk.child.pid))}\n`);
await new Promise(() => undefined);
