/**
 * A process that belongs to the one that starts it, with its three streams: for
 * what is asked of a machine now and is of no use later. What is to outlive its
 * starter goes through Spawn.
 *
 * Invariants:
 * 1. `onExit` is called exactly once, after the last `onOutput`.
 * 2. After `kill` nothing of the process itself goes on.
 */
import type { ProcessIdentity } from './spawn.ts';

export interface ChildSpec {
  /** Absolute path of the program. */
  readonly program: string;
  readonly arguments: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its three streams are one terminal, whose output all comes as `stdout`. Pipes where absent. */
  readonly hasTerminal?: boolean;
}

/** In characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface ChildExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export interface Child {
  readonly pid: number;
  /** Queues the bytes for its standard input; the caller watches `bufferedBytes` and bounds it. */
  write(bytes: Uint8Array): void;
  bufferedBytes(): number;
  /** Called when `bufferedBytes` has fallen to zero after having been above it. */
  onDrain(listener: () => void): void;
  /** Its standard input ends after what is queued. */
  endInput(): void;
  /** Set before the first await after the child was obtained. */
  onOutput(listener: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void): void;
  /** Stop and continue reading what it writes; meanwhile it waits. */
  pause(): void;
  resume(): void;
  onExit(listener: (exit: ChildExit) => void): void;
  /** Tells the program that its terminal has become of that size; nothing where it has none. */
  resize(size: TerminalSize): void;
  kill(): void;
}

export interface RunningProgram {
  /** Of its file, in the file system that the process sees. */
  readonly path: string;
  /** As it was given to the program. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Children {
  /** Rejects with SelvageError SPAWN_FAILED, also where there is to be a terminal and this machine makes none. */
  start(spec: ChildSpec): Promise<Child>;
  /** The program that a process has last become; undefined where that very process is gone. */
  programOf(process: ProcessIdentity): Promise<RunningProgram | undefined>;
}
