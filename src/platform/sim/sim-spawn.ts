/**
 * The process table of one machine. Programs are functions that the world
 * registers; any other program below /usr/bin runs until a signal ends it, and
 * what is elsewhere does not exist.
 *
 * Invariants:
 * 1. A process outlives the one that started it and dies with its machine.
 * 2. (pid, startTicks) is never used twice between two boots.
 */
import { assert, SelvageError } from '#base/mod.ts';
import type {
  Clock,
  Disk,
  ProcessEntry,
  ProcessHandle,
  ProcessIdentity,
  ProcessSpec,
  Random,
  Spawn,
  Timers,
} from '#platform/io/mod.ts';
import type { Kernel, Lifetime } from './kernel.ts';
import type { SeededRandom } from './seeded-random.ts';

export type SignalName = 'SIGTERM' | 'SIGKILL' | 'SIGINT';

export interface ProcessExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** A running process as its program sees it. Everything here dies with the process. */
export interface SimProcess extends ProcessIdentity {
  readonly spec: ProcessSpec;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** The whole disk of the machine; `spec` names files by absolute paths. */
  readonly disk: Disk;
  /** Starts and signals other processes of the machine. */
  readonly spawn: Spawn;
  /** Appends to the output files. */
  print(stream: 'stdout' | 'stderr', text: string): Promise<void>;
  /** Handles a signal; without a handler it ends the process. SIGKILL cannot be handled. */
  onSignal(signal: 'SIGTERM' | 'SIGINT', handler: () => void): void;
  exit(code: number): void;
  /** Starts a child that is killed when this process ends, as with a process namespace. */
  fork(command: string, run: (child: SimProcess) => void): SimChild;
}

export interface SimChild extends ProcessIdentity {
  /** The listener dies with the parent. */
  onExit(listener: (exit: ProcessExit) => void): void;
  signal(signal: SignalName): boolean;
}

export interface SimProgram {
  readonly name: string;
  /** Whether this program is what `spec` starts; the first registered that says so is taken. */
  readonly matches: (spec: ProcessSpec) => boolean;
  /** Starts the program. It ends when it calls `exit`, not when this returns. */
  readonly run: (process: SimProcess) => void;
}

/** Programs of the world, in the order in which they are asked. */
export type SimPrograms = SimProgram[];

const processesMax = 10_000;
const firstPid = 100;
const pidMax = 4_194_304;
const commandBytesMax = 15;

const defaultFolder = '/usr/bin/';

/** What a program that is not registered does: it runs on, and ends by itself when asked to. */
export const defaultProgram: SimProgram = {
  name: 'default',
  matches: (spec) => spec.program.startsWith(defaultFolder),
  run: (process) => {
    process.onSignal('SIGTERM', () => {
      process.timers.after(process.random.unit() * 200, () => process.exit(143));
    });
  },
};

interface Running {
  readonly entry: ProcessEntry;
  readonly spec: ProcessSpec;
  readonly lifetime: { readonly name: string; alive: boolean };
  readonly handlers: Map<SignalName, () => void>;
  readonly exitListeners: ((exit: ProcessExit) => void)[];
  readonly children: Running[];
  exit: ProcessExit | undefined;
}

/** What a machine gives its processes. */
export interface ProcessSurroundings {
  readonly machineName: string;
  readonly clock: Clock;
  readonly random: SeededRandom;
  timersFor(process: Lifetime): Timers;
  diskFor(process: Lifetime): Disk;
}

export class ProcessTable {
  readonly #kernel: Kernel;
  readonly #programs: SimPrograms;
  readonly #around: ProcessSurroundings;
  readonly #running = new Map<number, Running>();
  #nextPid = firstPid;

  constructor(kernel: Kernel, programs: SimPrograms, around: ProcessSurroundings) {
    this.#kernel = kernel;
    this.#programs = programs;
    this.#around = around;
  }

  get size(): number {
    return this.#running.size;
  }

  /** What a process, or the one that it was forked from, was started with. */
  specOf(pid: number): ProcessSpec | undefined {
    return this.#running.get(pid)?.spec;
  }

  /** Every process, by pid. */
  list(): readonly ProcessEntry[] {
    return [...this.#running.values()]
      .map((running) => running.entry)
      .sort((left, right) => left.pid - right.pid);
  }

  /** The machine lost power. */
  clear(): void {
    for (const running of this.#running.values()) running.lifetime.alive = false;
    this.#running.clear();
  }

  /** Ends a process from outside, as a fault: `kill -9` on its pid. */
  kill(pid: number): boolean {
    const running = this.#running.get(pid);
    if (running === undefined) return false;
    this.#end(running, { code: undefined, signal: 'SIGKILL' });
    return true;
  }

  /** The Spawn port of `owner`, which is `parentPid`. */
  portFor(owner: Lifetime, parentPid: number): Spawn {
    const later = <Result>(kind: string, work: () => Result): Promise<Result> =>
      new Promise((resolve, reject) => {
        const delayMs = this.#around.random.between(0.05, 0.5);
        this.#kernel.schedule(delayMs, owner, kind, '', () => {
          try {
            resolve(work());
          } catch (thrown) {
            reject(thrown);
          }
        });
      });
    return {
      start: async (spec) => {
        // Longer than a look into the table, as a fork and an exec are.
        const delayMs = this.#around.random.between(0.5, 5);
        await new Promise<void>((resolve) => {
          this.#kernel.schedule(delayMs, owner, 'spawn.start', spec.program, resolve);
        });
        return this.#start(owner, parentPid, spec);
      },
      inspect: (pid) => later('spawn.inspect', () => this.#running.get(pid)?.entry),
      commandLine: (pid) =>
        later('spawn.commandLine', () => {
          const spec = this.specOf(pid);
          return spec === undefined ? undefined : [spec.program, ...spec.arguments];
        }),
      table: () => later('spawn.table', () => this.list()),
      signal: (identity, signal) => later('spawn.signal', () => this.#signal(identity, signal)),
    };
  }

  #start(owner: Lifetime, parentPid: number, spec: ProcessSpec): ProcessHandle {
    const program = this.#programs.find((one) => one.matches(spec));
    if (program === undefined) {
      throw new SelvageError('SPAWN_FAILED', `there is no program ${spec.program}`);
    }
    const running = this.#enter(parentPid, spec, spec.program.split('/').at(-1) ?? '');
    this.#begin(running, program.name, program.run);
    const { pid, startTicks } = running.entry;
    return { pid, startTicks, onExit: (listener) => this.#tellExit(running, owner, listener) };
  }

  #enter(parentPid: number, spec: ProcessSpec, command: string): Running {
    assert(this.#running.size < processesMax, `no more than ${processesMax} processes`);
    const pid = this.#freePid();
    const startTicks = Math.floor(this.#around.clock.bootMs() / 10);
    const entry = { pid, startTicks, parentPid, command: command.slice(0, commandBytesMax) };
    const running: Running = {
      entry: { ...entry, isZombie: false },
      spec,
      lifetime: { name: `${this.#around.machineName}/${pid}`, alive: true },
      handlers: new Map(),
      exitListeners: [],
      children: [],
      exit: undefined,
    };
    this.#running.set(pid, running);
    return running;
  }

  #begin(running: Running, programName: string, run: (process: SimProcess) => void): void {
    this.#kernel.schedule(0, running.lifetime, 'process.run', programName, () =>
      run(this.#processOf(running)),
    );
  }

  #tellExit(running: Running, owner: Lifetime, listener: (exit: ProcessExit) => void): void {
    const tell = (exit: ProcessExit): void => {
      this.#kernel.schedule(0, owner, 'spawn.exit', JSON.stringify(exit), () => listener(exit));
    };
    if (running.exit === undefined) running.exitListeners.push(tell);
    else tell(running.exit);
  }

  #fork(parent: Running, command: string, run: (child: SimProcess) => void): SimChild {
    const child = this.#enter(parent.entry.pid, parent.spec, command);
    parent.children.push(child);
    this.#begin(child, command, run);
    return {
      pid: child.entry.pid,
      startTicks: child.entry.startTicks,
      onExit: (listener) => this.#tellExit(child, parent.lifetime, listener),
      signal: (signal) => this.#signal(child.entry, signal),
    };
  }

  #processOf(running: Running): SimProcess {
    const { lifetime, entry, handlers, spec } = running;
    const disk = this.#around.diskFor(lifetime);
    return {
      pid: entry.pid,
      startTicks: entry.startTicks,
      spec,
      clock: this.#around.clock,
      timers: this.#around.timersFor(lifetime),
      random: this.#around.random,
      disk,
      spawn: this.portFor(lifetime, entry.pid),
      print: async (stream, text) => {
        const path = stream === 'stdout' ? spec.stdoutPath : spec.stderrPath;
        if (path === undefined) return;
        const file = await disk.open(path.slice(1), 'write');
        await file.writeAt(await file.sizeBytes(), [new TextEncoder().encode(text)]);
        await file.close();
      },
      onSignal: (signal, handler) => {
        if (lifetime.alive) handlers.set(signal, handler);
      },
      exit: (code) => {
        if (lifetime.alive) this.#end(running, { code, signal: undefined });
      },
      fork: (command, run) => this.#fork(running, command, run),
    };
  }

  #signal(identity: ProcessIdentity, signal: SignalName): boolean {
    const running = this.#running.get(identity.pid);
    if (running === undefined || running.entry.startTicks !== identity.startTicks) return false;
    const handler = running.handlers.get(signal);
    if (signal === 'SIGKILL' || handler === undefined) {
      this.#end(running, { code: undefined, signal });
    } else {
      this.#kernel.schedule(0, running.lifetime, 'process.signal', signal, handler);
    }
    return true;
  }

  #end(running: Running, exit: ProcessExit): void {
    if (running.exit !== undefined) return;
    running.lifetime.alive = false;
    running.exit = exit;
    this.#running.delete(running.entry.pid);
    for (const tell of running.exitListeners) tell(exit);
    for (const child of running.children) this.#end(child, { code: undefined, signal: 'SIGKILL' });
  }

  #freePid(): number {
    do this.#nextPid = this.#nextPid >= pidMax ? firstPid : this.#nextPid + 1;
    while (this.#running.has(this.#nextPid));
    return this.#nextPid;
  }
}
