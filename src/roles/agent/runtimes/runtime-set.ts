/**
 * All runtimes of a node as one: who starts a container is chosen by the platform
 * of its image, everything after that by who has it.
 *
 * Invariants:
 * 1. A container is listed once, also where its image came to be of another
 *    platform and two runtimes remember it: what runs, else the newest run.
 * 2. The order of the runtimes is the node's preference among platforms.
 */
import { assert } from '#base/mod.ts';
import type { Child } from '#platform/io/mod.ts';
import { AgentError } from '../errors.ts';
import type { ContainerKey, ContainerRun, Runtime } from './types.ts';

export interface RuntimeSet extends Omit<Runtime, 'name' | 'start' | 'exec' | 'attachInput'> {
  exec(...parameters: Parameters<NonNullable<Runtime['exec']>>): Promise<Child>;
  attachInput(key: ContainerKey): Promise<Child>;
  readonly names: readonly string[];
  /** Undefined where no runtime of this node runs such images. */
  runtimeFor(platform: string): Runtime | undefined;
}

export function combineRuntimes(runtimes: readonly Runtime[]): RuntimeSet {
  assert(runtimes.length > 0, 'a node has a runtime');
  const platforms = runtimes.flatMap((runtime) => runtime.platforms);
  assert(new Set(platforms).size === platforms.length, 'one runtime for each platform');

  function ownerOf(key: ContainerKey): Runtime | undefined {
    let owner: Runtime | undefined;
    let newest: ContainerRun | undefined;
    for (const runtime of runtimes) {
      const run = runtime.get(key);
      if (run === undefined || (newest !== undefined && !isNewer(run, newest))) continue;
      owner = runtime;
      newest = run;
    }
    return owner;
  }

  function requireOwner(key: ContainerKey): Runtime {
    const owner = ownerOf(key);
    if (owner !== undefined) return owner;
    throw new AgentError('EXEC_NOT_RUNNING', `container ${key.container} does not run`);
  }

  return {
    names: runtimes.map(({ name }) => name),
    platforms,
    runtimeFor: (platform) => runtimes.find((runtime) => runtime.platforms.includes(platform)),
    list() {
      const [only, ...others] = runtimes;
      if (only !== undefined && others.length === 0) return only.list();
      const runs = runtimes.flatMap((runtime) =>
        runtime.list().filter((run) => ownerOf(run) === runtime),
      );
      return runs.toSorted(byPodAndName);
    },
    get: (key) => ownerOf(key)?.get(key),
    async stop(key, how) {
      return (await ownerOf(key)?.stop(key, how)) ?? false;
    },
    async setDeadline(key, bootMs) {
      return (await ownerOf(key)?.setDeadline(key, bootMs)) ?? false;
    },
    async exec(key, command, options) {
      const owner = requireOwner(key);
      if (owner.exec === undefined) {
        const text = `containers of the ${owner.name} runtime are one program: nothing else runs in them`;
        throw new AgentError('EXEC_REFUSED', text);
      }
      return owner.exec(key, command, options);
    },
    async attachInput(key) {
      const owner = requireOwner(key);
      if (owner.attachInput === undefined) {
        const text = `containers of the ${owner.name} runtime have no standard input`;
        throw new AgentError('EXEC_REFUSED', text);
      }
      return owner.attachInput(key);
    },
    async removePod(podUid) {
      for (const runtime of runtimes) await runtime.removePod(podUid);
    },
    logPath(key) {
      const owner = ownerOf(key) ?? runtimes[0];
      assert(owner !== undefined, 'a node has a runtime');
      return owner.logPath(key);
    },
    onExit(listener) {
      for (const runtime of runtimes) runtime.onExit(listener);
    },
    close() {
      for (const runtime of runtimes) runtime.close();
    },
  };
}

function isNewer(run: ContainerRun, other: ContainerRun): boolean {
  const isRunning = run.exit === undefined;
  if (isRunning !== (other.exit === undefined)) return isRunning;
  return run.restartCount > other.restartCount;
}

function byPodAndName(left: ContainerRun, right: ContainerRun): number {
  const [a, b] = [left, right].map(({ podUid, container }) => `${podUid}/${container}`);
  assert(a !== undefined && b !== undefined, 'two runs are compared');
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
