/**
 * The script runtime: a JavaScript bundle run by the node's own runtime, one
 * confined process per container behind a shim (shim.ts).
 *
 * Invariants:
 * 1. state.json is written before the shim starts and again, with its process,
 *    after: what runs can always be found again.
 * 2. A run counts as ended only when its outermost process is gone; how it ended
 *    is in exit.json, and a run without one was killed together with its shim.
 * 3. A process is named by pid and start time; a pid alone is never trusted.
 */
import { assert, errorText } from '#base/mod.ts';
import {
  sleep,
  type Clock,
  type Disk,
  type Logger,
  type ProcessIdentity,
  type Spawn,
  type Timers,
} from '#platform/io/mod.ts';
import { hash } from 'node:crypto';
import { utf8 } from '#base/mod.ts';
import { AgentError } from '../../errors.ts';
import type {
  ContainerExit,
  ContainerKey,
  ContainerRun,
  ContainerStart,
  Runtime,
} from '../types.ts';
import { encodeLaunch } from './launch.ts';
import { shimText } from './shim.ts';
import {
  readExit,
  readStarted,
  readState,
  writeState,
  type StartedFile,
  type StateFile,
} from './state-file.ts';
import { containerIdOf, shimArguments, userIdOf, workloadCommand } from './workload.ts';

export interface ScriptRuntimeDependencies {
  /** The agent's state folder; containers are in `pods/<pod uid>/<container>/`. */
  readonly disk: Disk;
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

export interface ScriptRuntimeOptions {
  /** Absolute path of the JavaScript runtime's binary. */
  readonly javascriptRuntimePath: string;
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
}

/** Finds the containers that an earlier agent started, and is then ready to start more. */
export async function openScriptRuntime(
  dependencies: ScriptRuntimeDependencies,
  options: ScriptRuntimeOptions,
): Promise<Runtime> {
  const { disk, spawn, clock, timers, logger } = dependencies;
  const containers = new Map<string, Container>();
  const listeners: ((run: ContainerRun) => void)[] = [];
  let isClosed = false;
  let isPolling = false;

  await disk.makeDirectory('pods', ownerOnlyFolder);
  // By content: shims that run read on in the text that they were started with.
  const shimPath = `shim-${hash('sha256', shimText, 'hex').slice(0, 16)}.sh`;
  if ((await disk.readFile(shimPath, 64 * 1024)) === undefined) {
    await disk.writeFileAtomic(shimPath, utf8(shimText), 0o600);
  }

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
    const recorded = await readExit(disk, container.folder);
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
    return { ...common, exitCode, finishedAtMs, reason: stage === 'setup' ? 'StartError' : ended };
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

  /** The outermost process, where an agent ended between starting it and writing it down. */
  async function outerOf(started: StartedFile): Promise<ProcessIdentity | undefined> {
    const init = await spawn.inspect(started.initPid);
    if (init === undefined || init.startTicks !== started.initStartTicks) return undefined;
    const outer = await spawn.inspect(init.parentPid);
    return outer === undefined ? undefined : { pid: outer.pid, startTicks: outer.startTicks };
  }

  async function adopt(podUid: string, name: string): Promise<void> {
    const folder = `pods/${podUid}/${name}`;
    const state = await readState(disk, folder);
    if (state === undefined) return;
    let process: ProcessIdentity | undefined;
    if (state.pid !== undefined && state.startTicks !== undefined) {
      process = { pid: state.pid, startTicks: state.startTicks };
    } else {
      // The shim may just be about to say who it is.
      let started = await readStarted(disk, folder);
      for (let waitedMs = 0; started === undefined && waitedMs < 1000; waitedMs += 100) {
        await sleep(timers, 100);
        started = await readStarted(disk, folder);
      }
      if (started !== undefined) process = await outerOf(started);
    }
    const container: Container = {
      folder,
      state,
      process,
      exit: undefined,
      isSettling: false,
      isAdopted: true,
    };
    containers.set(`${podUid}/${name}`, container);
    if (process === undefined || !(await isAlive(process))) {
      container.exit = await readEnd(container);
    }
  }

  for (const pod of await disk.list('pods')) {
    if (pod.kind !== 'directory') continue;
    for (const entry of await disk.list(`pods/${pod.name}`)) {
      if (entry.kind === 'directory') await adopt(pod.name, entry.name);
    }
  }
  pollAdopted();

  async function start(wanted: ContainerStart): Promise<ContainerRun> {
    const key = idOf(wanted);
    const folder = folderOf(wanted);
    const before = containers.get(key);
    if (before !== undefined && before.exit === undefined) {
      throw new AgentError('RUNTIME_RUNNING', `container ${key} runs already`);
    }
    const userId = userIdOf(wanted.ip);
    const launch = encodeLaunch({
      runtime: options.javascriptRuntimePath,
      bundle: wanted.bundle,
      userId,
      hostname: wanted.podName.slice(0, 63),
      temporaryBytesMax,
      environment: wanted.environment,
      command: workloadCommand(wanted.command),
    });
    await disk.makeDirectory(folder, ownerOnlyFolder);
    await disk.remove(`${folder}/started.json`);
    await disk.remove(`${folder}/exit.json`);
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
      restartCount,
      image,
      digest,
      ip,
      startedAtMs: clock.wallMs(),
      ...(last === undefined ? {} : { last }),
    };
    await writeState(disk, folder, state);
    const logPath = disk.absolute(`${folder}/log`);
    const handle = await spawn
      .start({
        program: '/usr/bin/unshare',
        arguments: shimArguments(disk.absolute(shimPath), disk.absolute(folder)),
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
    let started = await readStarted(disk, folder);
    while (
      started === undefined &&
      container.exit === undefined &&
      clock.monotonicMs() < deadlineMs
    ) {
      await sleep(timers, startPollMs);
      started = await readStarted(disk, folder);
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

  async function stop(key: ContainerKey, how: 'graceful' | 'kill'): Promise<boolean> {
    const container = containers.get(idOf(key));
    if (container === undefined || container.exit !== undefined) return false;
    const started = await readStarted(disk, container.folder);
    if (started !== undefined) {
      const init = { pid: started.initPid, startTicks: started.initStartTicks };
      const workload = { pid: started.workloadPid, startTicks: started.workloadStartTicks };
      if (how === 'graceful') return spawn.signal(init, 'SIGTERM');
      // The shim lives on for a moment and records what happened.
      if (await spawn.signal(workload, 'SIGKILL')) return true;
    }
    if (how === 'graceful' || container.process === undefined) return false;
    return spawn.signal(container.process, 'SIGKILL');
  }

  return {
    name: 'script',
    platforms: ['script/javascript'],
    start,
    stop,
    list: () =>
      [...containers.keys()].sort().flatMap((id) => {
        const container = containers.get(id);
        return container === undefined ? [] : [runOf(container)];
      }),
    get(key) {
      const container = containers.get(idOf(key));
      return container === undefined ? undefined : runOf(container);
    },
    async removePod(podUid) {
      const own = [...containers].filter(([, container]) => container.state.podUid === podUid);
      if (own.some(([, container]) => container.exit === undefined)) {
        throw new AgentError('RUNTIME_RUNNING', `a container of pod ${podUid} still runs`);
      }
      for (const [id, container] of own) {
        containers.delete(id);
        await disk.remove(container.folder);
      }
    },
    logPath: (key) => `${folderOf(key)}/log`,
    onExit(listener) {
      listeners.push(listener);
    },
    close() {
      isClosed = true;
    },
  };
}
