/**
 * Sends a signal to every process of the group that `leaderPid` leads. False when none is left.
 */
export function signalGroup(leaderPid: number, signal: 'SIGTERM' | 'SIGKILL'): boolean {
  try {
    process.kill(-leaderPid, signal);
    return true;
  } catch (error) {
    // ESRCH: the group is empty. EPERM (a program that changed its user) cannot be helped here.
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

/**
 * The words to put before a child's command so that the kernel kills it when the broker dies
 * (prctl PR_SET_PDEATHSIG), even if it ignores the end of its stdin. Undefined when this system
 * has no `setpriv` that can do it.
 */
export function parentDeathPrefix(): readonly string[] | undefined {
  const setpriv = Bun.which('setpriv', { PATH: '/usr/bin:/bin:/usr/local/bin' });
  if (setpriv === null) return undefined;
  const prefix = [setpriv, '--pdeathsig', 'KILL', '--'];
  // BusyBox has a setpriv without this option, so it is tried and not only looked for.
  const probe = Bun.spawnSync([...prefix, setpriv, '--version'], {
    env: {},
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  return probe.exitCode === 0 ? prefix : undefined;
}
