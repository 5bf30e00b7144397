/** What a turn of the bench asks of a bridge. */
export interface TargetOptions {
  /** The stdio child that stands behind every target alike. */
  readonly childCommand: readonly string[];
  /** How many sessions will be open at once. */
  readonly sessions: number;
}

/** A bridge that runs as one process of its own and answers on loopback. */
export interface RunningTarget {
  readonly mcpUrl: string;
  /** The process whose memory and CPU time count; children are not counted. */
  readonly pid: number;
  /** The bearer of session `n`, undefined where none is asked for. */
  bearer(session: number): string | undefined;
  stop(): Promise<void>;
}

/** Starts a fresh bridge for one turn. */
export type StartTarget = (options: TargetOptions) => Promise<RunningTarget>;
