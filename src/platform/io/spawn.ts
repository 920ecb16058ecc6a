/**
 * Processes of the machine. A process outlives the one that started it (an
 * agent is upgraded under its pods), so it is named by what the kernel says of
 * it and not by a handle.
 *
 * Invariants:
 * 1. (pid, startTicks) is never reused between two boots; a pid alone is.
 * 2. `signal` reaches only the process it names: the identity is checked first.
 */

export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in the kernel's clock ticks since boot. */
  readonly startTicks: number;
}

export interface ProcessSpec {
  /** Absolute path of the program. */
  readonly program: string;
  readonly arguments: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Absolute paths, opened for appending; absent means /dev/null. */
  readonly stdoutPath?: string;
  readonly stderrPath?: string;
  /** Given to the process on its standard input, which is then closed. For secrets. */
  readonly stdin?: Uint8Array;
}

export interface ProcessEntry extends ProcessIdentity {
  readonly parentPid: number;
  /** First 15 bytes of the program's name, as the kernel keeps it. */
  readonly command: string;
  readonly isZombie: boolean;
}

export interface ProcessHandle extends ProcessIdentity {
  /** Only for the process that started it: its exit code, or the signal's name. */
  onExit(listener: (exit: { code: number | undefined; signal: string | undefined }) => void): void;
}

export interface Spawn {
  /** Starts in a session of its own, so that it lives on when this process ends. */
  start(spec: ProcessSpec): Promise<ProcessHandle>;
  /** What the kernel says now of a pid; undefined where there is none. */
  inspect(pid: number): Promise<ProcessEntry | undefined>;
  /** The program and its arguments as it was started; undefined where it is gone or has ended. */
  commandLine(pid: number): Promise<readonly string[] | undefined>;
  /** Every process of the machine, by pid. */
  table(): Promise<readonly ProcessEntry[]>;
  /** False where that very process is gone. */
  signal(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): Promise<boolean>;
}
