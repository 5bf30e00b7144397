/**
 * A process with a sandboxed child that has left a process behind, to be killed by a test. A line on
 * stdout says that all are there.
 */
import { findSandbox } from '../../app/child/find-sandbox.ts';
import { fixtureSupervisor, Talk } from './fixture-supervisor.ts';

const program = process.execPath;
const found = findSandbox({ mode: 'bwrap', program, paths: [import.meta.dir] });
if (!found.ok) throw new Error(found.error);
const command = [program, `${import.meta.dir}/hostile-child.ts`];
const { supervisor } = fixtureSupervisor([], { sandbox: found.value, command });
await new Talk(supervisor).tool('leaveBehind');
process.stdout.write('ready\n');
await new Promise(() => undefined);
