/**
 * The runtimes that run one confined process per container behind a shim (shim.ts):
 * JavaScript bundles, and WebAssembly modules, by the node's own JavaScript runtime.
 *
 * Invariants:
 * 1. state.json is written before the shim starts and again, with its process,
 *    after: what runs can always be found again, and a start that an agent's death
 *    interrupted has happened once or not at all (attempt.ts).
 * 2. A run counts as ended only when its outermost process is gone; how it ended
 *    is in exit.json, and a run without one was killed together with its shim.
 * 3. A process is named by pid and start time; a pid alone is never trusted.
 */
import { assert, errorText } from '#base/mod.ts';
import {
  sleep,
  type Child,
  type Children,
  type Clock,
  type Disk,
  type Logger,
  type ProcessEntry,
  type ProcessIdentity,
  type Spawn,
  type Timers,
} from '#platform/io/mod.ts';
import { AgentError } from '../../errors.ts';
import type {
  ContainerExit,
  ContainerKey,
  ContainerRun,
  ContainerStart,
  ExecOptions,
  Runtime,
} from '../types.ts';
import { findContainers, type Found } from './adoption.ts';
import { nextAttempt, offerTicket } from './attempt.ts';
import { besideWorkloads, keepText, notRunning, type Present } from './beside.ts';
import { leadingFlags } from './exec.ts';
import { type ControlGroups, planGroups } from './control-groups.ts';
import { type Flavour, scriptFlavour } from './flavour.ts';
import { encodeLaunch } from './launch.ts';
import { shimText } from './shim.ts';
import {
  readExit,
  readStarted,
  readDeadline,
  writeDeadline,
  writeState,
  type ExitFile,
  type StateFile,
} from './state-file.ts';
import { bundleRoot, containerIdOf, outerProgram, shimArguments, userIdOf } from './workload.ts';
import { wasmFlavour } from './wasm-flavour.ts';

export interface ScriptRuntimeDependencies {
  /** The agent's state folder; containers are in `pods/<pod uid>/<container>/`. */
  readonly disk: Disk;
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Absent where nothing can be run in a container beside its workload. */
  readonly children?: Children | undefined;
}

export interface ProcessRuntimesOptions {
  /** Absolute path of the JavaScript runtime's binary. */
  readonly javascriptRuntimePath: string;
  /** Program that runs WebAssembly modules; absent where none are run here. */
  readonly wasmHostText?: string | undefined;
  /** Program that stands in for `tar` and a few others beside a workload; absent where there is none. */
  readonly toolsText?: string | undefined;
  /** Absent where limits cannot be held. */
  readonly controlGroups?: ControlGroups | undefined;
}

const pollEveryMs = 500;
const startTimeoutMs = 15_000;
const startPollMs = 10;
const temporaryBytesMax = 64 * 1024 * 1024;
const ownerOnlyFolder = 0o700;

interface Container {
  readonly folder: string;
  state: StateFile;
  /** Undefined where the run's processes were never seen. */
  process: ProcessIdentity | undefined;
  exit: ContainerExit | undefined;
  /** Set while its end is being read, so that it is told once. */
  isSettling: boolean;
  /** False for a child of this very process, whose end is told and not looked for. */
  isAdopted: boolean;
  /** On the boot clock. `unknown`: what an earlier agent wrote. */
  deadlineMs: number | undefined | 'unknown';
}

interface Inside {
  readonly init: ProcessIdentity | undefined;
  readonly workload: ProcessIdentity | undefined;
}

const reasonOfStage: Readonly<Record<ExitFile['stage'], string | undefined>> = {
  setup: 'StartError',
  deadline: 'DeadlineExceeded',
  memory: 'OOMKilled',
  workload: undefined,
};

/**
 * Finds the containers that an earlier agent started, and is then ready to start more.
 * Answers the script runtime, and after it the one for WebAssembly where it has its host.
 */
export async function openProcessRuntimes(
  dependencies: ScriptRuntimeDependencies,
  options: ProcessRuntimesOptions,
): Promise<readonly Runtime[]> {
  const { disk, spawn, clock, timers, logger } = dependencies;
  const containers = new Map<string, Container>();
  const listeners: ((run: ContainerRun) => void)[] = [];
  let isClosed = false;
  let isPolling = false;

  await disk.makeDirectory('pods', ownerOnlyFolder);
  const shimPath = await keepText(disk, logger, 'shim', 'sh', shimText);
  const flavours: Flavour[] = [scriptFlavour];
  if (options.wasmHostText !== undefined) {
    const path = await keepText(disk, logger, 'wasm-host', 'mjs', options.wasmHostText);
    flavours.push(wasmFlavour(disk.absolute(path)));
  }
  const { children } = dependencies;
  const beside =
    children === undefined
      ? undefined
      : await besideWorkloads({ disk, children, timers, logger }, flavours, options.toolsText);

  function idOf(key: ContainerKey): string {
    return `${key.podUid}/${key.container}`;
  }

  function folderOf(key: ContainerKey): string {
    assert(/^[A-Za-z0-9-]{1,64}$/.test(key.podUid), 'a uid names a folder');
    assert(/^[a-z0-9-]{1,63}$/.test(key.container), 'a container name names a folder');
    return `pods/${idOf(key)}`;
  }

  function runOf({ state, process, exit }: Container): ContainerRun {
    const { podUid, container, podNamespace, podName, image, digest, ip } = state;
    const { restartCount, startedAtMs, last } = state;
    return {
      podUid,
      container,
      podNamespace,
      podName,
      image,
      digest,
      ip,
      restartCount,
      startedAtMs,
      process,
      exit,
      containerId: containerIdOf(state),
      ...(last === undefined ? {} : { last }),
    };
  }

  async function isAlive(identity: ProcessIdentity): Promise<boolean> {
    const entry = await spawn.inspect(identity.pid);
    return entry !== undefined && entry.startTicks === identity.startTicks && !entry.isZombie;
  }

  async function readEnd(container: Container): Promise<ContainerExit> {
    const recorded = await readExit(disk, container.folder, logger);
    const common = {
      startedAtMs: container.state.startedAtMs,
      containerId: containerIdOf(container.state),
    };
    if (recorded === undefined) {
      const finishedAtMs = Math.max(clock.wallMs(), common.startedAtMs);
      return { ...common, exitCode: 137, reason: 'ContainerStatusUnknown', finishedAtMs };
    }
    const { exitCode, finishedAtMs, stage } = recorded;
    const ended = exitCode === 0 ? 'Completed' : 'Error';
    return { ...common, exitCode, finishedAtMs, reason: reasonOfStage[stage] ?? ended };
  }

  /** Its outermost process is gone. */
  async function settle(container: Container): Promise<void> {
    if (container.exit !== undefined || container.isSettling) return;
    container.isSettling = true;
    try {
      container.exit = await readEnd(container);
    } finally {
      container.isSettling = false;
    }
    if (!isClosed) for (const listener of listeners) listener(runOf(container));
  }

  function pollAdopted(): void {
    const needed = [...containers.values()].some(
      (container) => container.isAdopted && container.exit === undefined,
    );
    if (isClosed || isPolling || !needed) return;
    isPolling = true;
    timers.after(pollEveryMs, () => {
      void lookAfterAdopted().then(() => {
        isPolling = false;
        pollAdopted();
      });
    });
  }

  async function lookAfterAdopted(): Promise<void> {
    for (const container of containers.values()) {
      if (isClosed || !container.isAdopted || container.exit !== undefined) continue;
      try {
        if (container.process === undefined || !(await isAlive(container.process))) {
          await settle(container);
        }
      } catch (error) {
        logger.log('warn', 'cannot look after a container', { error: errorText(error) });
      }
    }
  }

  async function adopt({ folder, state, process, neverRan }: Found): Promise<void> {
    const { last, ...rest } = state;
    // Nothing of it was ever seen: as if it had not been asked for.
    if (neverRan && last === undefined) return;
    const container: Container = {
      folder,
      state,
      process,
      exit: undefined,
      isSettling: false,
      isAdopted: true,
      deadlineMs: process === undefined ? undefined : await readDeadline(disk, folder),
    };
    if (neverRan && last !== undefined) {
      const { startedAtMs } = last;
      container.state = { ...rest, startedAtMs, restartCount: state.restartCount - 1 };
      container.exit = last;
    } else if (process === undefined) {
      container.exit = await readEnd(container);
    } else {
      // So that the next agent, and whoever reads the file, has the process from there.
      const { pid, startTicks } = process;
      const started = await readStarted(disk, folder, logger);
      const { workloadPid, workloadStartTicks } = started ?? state;
      container.state = {
        ...state,
        pid,
        startTicks,
        ...(workloadPid === undefined ? {} : { workloadPid }),
        ...(workloadStartTicks === undefined ? {} : { workloadStartTicks }),
      };
      const isNews = state.pid !== pid || state.workloadPid !== workloadPid;
      if (isNews) await writeState(disk, folder, container.state);
    }
    containers.set(`${state.podUid}/${state.container}`, container);
  }

  for (const found of await findContainers(disk, spawn, logger)) await adopt(found);
  pollAdopted();

  async function start(flavour: Flavour, wanted: ContainerStart): Promise<ContainerRun> {
    const key = idOf(wanted);
    const folder = folderOf(wanted);
    const before = containers.get(key);
    if (before !== undefined && before.exit === undefined) {
      throw new AgentError('RUNTIME_RUNNING', `container ${key} runs already`);
    }
    const userId = userIdOf(wanted.ip);
    const { workingDirectory = bundleRoot, input = 'empty' } = wanted;
    const { command, mounts } = flavour.launch(wanted);
    const launch = encodeLaunch({
      runtime: options.javascriptRuntimePath,
      bundle: wanted.bundle,
      userId,
      hostname: wanted.hostname ?? wanted.podName.slice(0, 63),
      temporaryBytesMax,
      environment: wanted.environment,
      command,
      mounts,
      workingDirectory,
      input,
      groups: planGroups(options.controlGroups, wanted, wanted.limits),
      names: {
        address: wanted.ip,
        nameserver: wanted.resolver?.nameserver ?? '',
        searches: wanted.resolver?.searches.join(' ') ?? '',
      },
    });
    await disk.makeDirectory(folder, ownerOnlyFolder);
    if ((await disk.list(folder)).some((entry) => entry.name === 'log')) {
      await disk.rename(`${folder}/log`, `${folder}/log.previous`);
    }
    await (await disk.open(`${folder}/log`, 'create', 0o600)).close();
    const { podNamespace, podName, podUid, restartCount, image, digest, ip, last } = wanted;
    const state: StateFile = {
      podNamespace,
      podName,
      podUid,
      container: wanted.container,
      attempt: await nextAttempt(disk, folder, before?.state.attempt ?? 0),
      restartCount,
      image,
      digest,
      ip,
      startedAtMs: clock.wallMs(),
      ...(flavour === scriptFlavour ? {} : { runtime: flavour.name }),
      flags: leadingFlags(command.slice(1)),
      ...(input === 'empty' ? {} : { input }),
      ...(workingDirectory === bundleRoot ? {} : { workingDirectory }),
      ...(last === undefined ? {} : { last }),
    };
    await writeState(disk, folder, state);
    await offerTicket(disk, folder, state);
    const { deadlineBootMs } = wanted;
    if (deadlineBootMs !== undefined) await writeDeadline(disk, folder, deadlineBootMs);
    const logPath = disk.absolute(`${folder}/log`);
    const handle = await spawn
      .start({
        program: outerProgram,
        arguments: shimArguments(disk.absolute(shimPath), disk.absolute(folder), state.attempt),
        environment: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
        workingDirectory: '/',
        stdoutPath: logPath,
        stderrPath: logPath,
        stdin: launch,
      })
      .catch((cause: unknown) => {
        throw new AgentError('RUNTIME_START', `cannot start the shim: ${errorText(cause)}`, {
          cause,
        });
      });
    const process = { pid: handle.pid, startTicks: handle.startTicks };
    const container: Container = {
      folder,
      state: { ...state, ...process },
      process,
      exit: undefined,
      isSettling: false,
      isAdopted: false,
      deadlineMs: deadlineBootMs,
    };
    containers.set(key, container);
    await writeState(disk, folder, container.state);
    handle.onExit(() => {
      settle(container).catch((error: unknown) => {
        logger.log('error', 'cannot read how a container ended', { error: errorText(error) });
        // Looked for again with the adopted ones.
        container.isAdopted = true;
        pollAdopted();
      });
    });
    const deadlineMs = clock.monotonicMs() + startTimeoutMs;
    let started = await readStarted(disk, folder, logger);
    while (
      started === undefined &&
      container.exit === undefined &&
      clock.monotonicMs() < deadlineMs
    ) {
      await sleep(timers, startPollMs);
      started = await readStarted(disk, folder, logger);
    }
    if (started === undefined && container.exit === undefined) {
      await spawn.signal(process, 'SIGKILL');
      throw new AgentError('RUNTIME_START', `container ${key} took more than ${startTimeoutMs} ms`);
    }
    if (started !== undefined) {
      const { workloadPid, workloadStartTicks } = started;
      container.state = { ...container.state, workloadPid, workloadStartTicks };
      await writeState(disk, folder, container.state);
    }
    return runOf(container);
  }

  /** By what the shim wrote, else by who is whose child. */
  async function processesIn({ folder, process }: Container): Promise<Inside> {
    const started = await readStarted(disk, folder, logger);
    if (started !== undefined) {
      return {
        init: { pid: started.initPid, startTicks: started.initStartTicks },
        workload: { pid: started.workloadPid, startTicks: started.workloadStartTicks },
      };
    }
    const table = process === undefined ? [] : await spawn.table();
    const childOf = (parent: ProcessIdentity | undefined): ProcessEntry | undefined =>
      parent === undefined ? undefined : table.find((entry) => entry.parentPid === parent.pid);
    const init = childOf(process);
    // An init that is still preparing has children that are not the workload.
    const child = childOf(init);
    return { init, workload: child?.command === 'node' ? child : undefined };
  }

  async function setDeadline(key: ContainerKey, bootMs: number | undefined): Promise<boolean> {
    const container = containers.get(idOf(key));
    if (container === undefined || container.exit !== undefined) return false;
    const before = container.deadlineMs;
    if (before === bootMs) return true;
    container.deadlineMs = bootMs;
    if (bootMs === undefined) await disk.remove(`${container.folder}/deadline`);
    else await writeDeadline(disk, container.folder, bootMs);
    // A later time is found when the earlier one has come; anything else is told.
    const isLater = typeof before === 'number' && bootMs !== undefined && bootMs >= before;
    if (!isLater) {
      const { init } = await processesIn(container);
      if (init !== undefined) await spawn.signal(init, 'SIGINT');
    }
    return true;
  }

  async function stop(key: ContainerKey, how: 'graceful' | 'kill'): Promise<boolean> {
    const container = containers.get(idOf(key));
    if (container === undefined || container.exit !== undefined) return false;
    const { init, workload } = await processesIn(container);
    if (how === 'graceful') return init !== undefined && spawn.signal(init, 'SIGTERM');
    // The shim lives on for a moment and records what happened.
    if (workload !== undefined && (await spawn.signal(workload, 'SIGKILL'))) return true;
    if (container.process === undefined) return false;
    return spawn.signal(container.process, 'SIGKILL');
  }

  async function presentOf(key: ContainerKey): Promise<Present> {
    const container = containers.get(idOf(key));
    const workload =
      container === undefined || container.exit !== undefined
        ? undefined
        : (await processesIn(container)).workload;
    if (container === undefined || workload === undefined) throw notRunning(key.container);
    return { folder: container.folder, state: container.state, workload };
  }

  async function exec(
    key: ContainerKey,
    command: readonly string[],
    execOptions: ExecOptions = {},
  ): Promise<Child> {
    if (beside === undefined) throw nothingBeside();
    return beside.exec(await presentOf(key), command, execOptions);
  }

  async function attachInput(key: ContainerKey): Promise<Child> {
    if (beside === undefined) throw nothingBeside();
    const present = await presentOf(key);
    const child = await beside.attachInput(present);
    if (present.state.input === 'first-only') child.onExit(() => void endInput(key, present));
    return child;
  }

  /** What came is all: the shim lets go of it, and the workload reads its end. */
  async function endInput(key: ContainerKey, { folder, state }: Present): Promise<void> {
    const container = containers.get(idOf(key));
    if (container?.state.attempt !== state.attempt) return;
    try {
      await (await disk.open(`${folder}/input-ended`, 'write', 0o600)).close();
      const { init } = await processesIn(container);
      if (init !== undefined) await spawn.signal(init, 'SIGINT');
    } catch (error) {
      logger.log('warn', 'the input of a container could not be ended', {
        podUid: key.podUid,
        error: errorText(error),
      });
    }
  }

  async function removePod(podUid: string): Promise<void> {
    const own = [...containers].filter(([, container]) => container.state.podUid === podUid);
    if (own.some(([, container]) => container.exit === undefined)) {
      throw new AgentError('RUNTIME_RUNNING', `a container of pod ${podUid} still runs`);
    }
    for (const [id, container] of own) {
      containers.delete(id);
      await disk.remove(container.folder);
      await removeGroups(container.state);
    }
  }

  /** Of a container whose shim was killed: it could not take them away itself. */
  async function removeGroups(key: ContainerKey): Promise<void> {
    const { groups } = planGroups(options.controlGroups, key);
    if (groups.length === 0) return;
    // Those that are gone already are complained about to nobody.
    await spawn.start({
      program: '/bin/rmdir',
      arguments: groups,
      environment: {},
      workingDirectory: '/',
    });
  }

  /** One runtime's part in what they all share. */
  function runtimeOf(flavour: Flavour): Runtime {
    const { name, platforms } = flavour;
    const own = (key: ContainerKey): Container | undefined => {
      const container = containers.get(idOf(key));
      return (container?.state.runtime ?? scriptFlavour.name) === name ? container : undefined;
    };
    return {
      name,
      platforms,
      start: (wanted) => start(flavour, wanted),
      stop: async (key, how) => own(key) !== undefined && (await stop(key, how)),
      exec,
      attachInput,
      setDeadline: async (key, bootMs) =>
        own(key) !== undefined && (await setDeadline(key, bootMs)),
      list: () =>
        [...containers.keys()].sort().flatMap((id) => {
          const container = containers.get(id);
          return container === undefined || own(container.state) === undefined
            ? []
            : [runOf(container)];
        }),
      get(key) {
        const container = own(key);
        return container === undefined ? undefined : runOf(container);
      },
      removePod,
      logPath: (key) => `${folderOf(key)}/log`,
      onExit(listener) {
        listeners.push((run) => {
          if (own(run) !== undefined) listener(run);
        });
      },
      close() {
        isClosed = true;
      },
    };
  }

  return flavours.map(runtimeOf);
}

function nothingBeside(): AgentError {
  return new AgentError('EXEC_REFUSED', 'this node cannot run anything beside a workload');
}

/** The script runtime alone. */
export async function openScriptRuntime(
  dependencies: ScriptRuntimeDependencies,
  options: Omit<ProcessRuntimesOptions, 'wasmHostText'>,
): Promise<Runtime> {
  const [runtime] = await openProcessRuntimes(dependencies, options);
  assert(runtime !== undefined, 'the script runtime is always there');
  return runtime;
}
