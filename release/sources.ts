import { UNKNOWN_REVISION } from '../app/base/version.ts';
import { ReleaseFailure } from './failure.ts';
import { run } from './run.ts';

/** The state of the sources that a release is made from. */
export interface Sources {
  /** The commit, with `-changed` behind it when the tree has changes that are not committed. */
  readonly revision: string;
  /** The moment of the commit, or of `SOURCE_DATE_EPOCH`, in seconds. */
  readonly committedAt: number;
}

/** Asks git about the sources at `root`; outside of a repository nothing is known. */
export async function describeSources(
  root: string,
  sourceDateEpoch: string | undefined,
): Promise<Sources> {
  if (sourceDateEpoch !== undefined && !/^\d{1,11}$/.test(sourceDateEpoch)) {
    throw new ReleaseFailure('SOURCE_DATE_EPOCH is a number of seconds');
  }
  try {
    const [revision, committedAt] = (
      await run(['git', 'log', '-1', '--format=%H %ct'], { cwd: root })
    )
      .trim()
      .split(' ');
    const changes = await run(['git', 'status', '--porcelain'], { cwd: root });
    return {
      revision: `${revision}${changes === '' ? '' : '-changed'}`,
      committedAt: Number(sourceDateEpoch ?? committedAt),
    };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { revision: UNKNOWN_REVISION, committedAt: Number(sourceDateEpoch ?? 0) };
  }
}
