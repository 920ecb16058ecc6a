/**
 * What runs containers. A runtime's containers live on when the agent ends, and
 * the next agent finds them again by what the runtime keeps on disk.
 *
 * Invariants (see runtime.contract.ts):
 * 1. One run of a container has at most one live set of processes; `start` is
 *    refused while they live.
 * 2. How a run ended stays readable until the container is started or removed
 *    again, whether or not an agent was there when it ended.
 * 3. When the outermost process of a container is killed, everything in it dies.
 * 4. A container with a deadline is over soon after it on the boot clock, whether
 *    or not an agent lives; nothing that the container does can delay it.
 * 5. A start during which the agent died has happened once or never happens, and
 *    the next agent knows which.
 * 6. A container reads and writes nothing of the machine but what it was given.
 */
import type { Child, ProcessIdentity } from '#platform/io/mod.ts';

export interface ContainerKey {
  readonly podUid: string;
  /** Name in the pod. */
  readonly container: string;
}

/** A file or folder of the machine that the container sees at a path of its own. */
export interface ContainerMount {
  /** Absolute path on the machine. */
  readonly source: string;
  /** Absolute path in the container. */
  readonly path: string;
  readonly isReadOnly: boolean;
  /**
   * Names below the source, each in the one before it, when not all of it is meant.
   * A workload may have made them: what is missing is made, and a link is never
   * followed; the start fails instead.
   */
  readonly below?: readonly string[];
  /** What is shown is a file; a folder where absent. */
  readonly isFile?: boolean;
}

/** The most that a container may use; what is not given is the runtime's own default. */
export interface ContainerLimits {
  readonly memoryBytes?: number;
  /** Thousandths of a core. */
  readonly cpuMillis?: number;
  readonly processes?: number;
}

export interface ContainerResolver {
  /** Address of the server to ask. */
  readonly nameserver: string;
  /** Domains that short names are looked for in. */
  readonly searches: readonly string[];
}

export interface ContainerStart extends ContainerKey {
  readonly podNamespace: string;
  readonly podName: string;
  /** The reference that the pod asks for, and the digest of what it stood for. */
  readonly image: string;
  readonly digest: string;
  /** Address of the pod. */
  readonly ip: string;
  readonly restartCount: number;
  /** Absolute path of the unpacked image. */
  readonly bundle: string;
  /** The module in the bundle, then its arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** How the run before this one ended, to be kept with this one. */
  readonly last?: ContainerExit;
  /** As `setDeadline` gives it, from the start on. */
  readonly deadlineBootMs?: number;
  /** What it sees besides its image; none where absent. */
  readonly mounts?: readonly ContainerMount[];
  readonly limits?: ContainerLimits;
  /** Absolute path in the container; the image's root where absent. */
  readonly workingDirectory?: string;
  /** How names are resolved in it; as on the machine where absent. */
  readonly resolver?: ContainerResolver;
  /** What it calls itself; the pod's name where absent. */
  readonly hostname?: string;
  /** `empty` where absent. */
  readonly input?: ContainerInput;
}

export interface ContainerExit {
  readonly exitCode: number;
  /** `Completed`, `Error`, `StartError` (never ran), `DeadlineExceeded`, `OOMKilled`, or `ContainerStatusUnknown` (killed with its shim). */
  readonly reason: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly containerId: string;
}

export interface ContainerRun extends ContainerKey {
  readonly podNamespace: string;
  readonly podName: string;
  readonly image: string;
  readonly digest: string;
  readonly ip: string;
  readonly restartCount: number;
  readonly startedAtMs: number;
  /** `<runtime>://<pod uid>/<container>/<run>`. */
  readonly containerId: string;
  /** The outermost process. */
  readonly process: ProcessIdentity | undefined;
  readonly last?: ContainerExit;
  /** Undefined while it runs. */
  readonly exit: ContainerExit | undefined;
}

export interface ExecOptions {
  /** The command's streams are a terminal. */
  readonly hasTerminal?: boolean;
}

/**
 * What a workload reads as its standard input: nothing; what people attach, or what
 * the first of them gives and then the end.
 */
export type ContainerInput = 'empty' | 'kept-open' | 'first-only';

export interface Runtime {
  readonly name: string;
  /** Image platforms that it runs, best first, e.g. `script/javascript`. */
  readonly platforms: readonly string[];
  /**
   * Resolves when the workload's process exists, or with a run that has already
   * ended. Rejects with AgentError RUNTIME_RUNNING, RUNTIME_BAD_COMMAND or RUNTIME_START.
   */
  start(container: ContainerStart): Promise<ContainerRun>;
  /** Every container that has been started and not removed, sorted by pod and name. */
  list(): readonly ContainerRun[];
  get(key: ContainerKey): ContainerRun | undefined;
  /** Asks the workload to end (`graceful`), or ends it. False where it does not run. */
  stop(key: ContainerKey, how: 'graceful' | 'kill'): Promise<boolean>;
  /**
   * Until when the container may run, on the boot clock; undefined: as long as it
   * likes. Held without the agent. False where it does not run.
   */
  setDeadline(key: ContainerKey, bootMs: number | undefined): Promise<boolean>;
  /**
   * Runs a command beside the workload, as it sees and may do things, until the
   * child ends or is killed. Rejects with AgentError EXEC_NOT_RUNNING, EXEC_NOT_FOUND
   * or EXEC_REFUSED. Absent where a runtime has no such thing.
   */
  exec?(key: ContainerKey, command: readonly string[], options?: ExecOptions): Promise<Child>;
  /**
   * A child whose input is the workload's standard input, as it is read there. Rejects
   * with AgentError EXEC_NOT_RUNNING, or EXEC_REFUSED where its input is empty.
   */
  attachInput?(key: ContainerKey): Promise<Child>;
  /** Forgets the pod's containers, their logs and state. Refused while one runs. */
  removePod(podUid: string): Promise<void>;
  /** Path of the container's log on the disk that the runtime was given. */
  logPath(key: ContainerKey): string;
  /** Called after a run has ended and its exit is readable. */
  onExit(listener: (run: ContainerRun) => void): void;
  /** Stops watching; the containers go on. */
  close(): void;
}
