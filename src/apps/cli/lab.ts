/**
 * `selvage lab kill|stop|start NAME`: takes a part of the fleet away and brings
 * it back. NAME is a node (its agent and all it runs), `agent/NODE` (the agent
 * alone) or `server`. A server that is started answers when the command has ended.
 */
import type { ProcessIdentity } from '#platform/io/mod.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { type ContainerStateFile, type Fleet, openFleet, type ProcessName } from './fleet.ts';
import { selvageWords } from './paths.ts';
import { killAlone, killTrees, processTree, waitForEnd } from './processes.ts';
import { waitForServer } from './server-ready.ts';

export type LabAction = 'kill' | 'stop' | 'start';

const stopTimeoutMs = 45_000;

type Target =
  | { readonly kind: 'server' }
  | { readonly kind: 'agent'; readonly node: string }
  | { readonly kind: 'node'; readonly node: string };

function targetOf(fleet: Fleet, name: string): Target {
  if (name === 'server') return { kind: 'server' };
  if (name.startsWith('agent/')) {
    return { kind: 'agent', node: fleet.node(name.slice('agent/'.length)).name };
  }
  return { kind: 'node', node: fleet.node(name).name };
}

function processNameOf(target: Target): 'server' | `agent-${string}` {
  return target.kind === 'server' ? 'server' : `agent-${target.node}`;
}

export async function lab(
  context: CliContext,
  options: {
    readonly stateFolder: string;
    readonly action: LabAction;
    readonly name: string;
    /** Only say which processes would end. */
    readonly dryRun: boolean;
  },
): Promise<ExitCode> {
  const fleet = await openFleet(context, options.stateFolder);
  const target = targetOf(fleet, options.name);
  switch (options.action) {
    case 'kill':
      await kill(context, fleet, target, options.dryRun);
      break;
    case 'stop':
      await stop(context, fleet, target, options.dryRun);
      break;
    case 'start':
      await start(context, fleet, target);
      break;
  }
  return exitCodes.ok;
}

async function kill(
  context: CliContext,
  fleet: Fleet,
  target: Target,
  dryRun: boolean,
): Promise<void> {
  const roots = await rootsOf(fleet, target);
  if (dryRun) {
    const entries = processTree(await context.spawn.table(), roots);
    const meant = target.kind === 'node' ? entries : roots;
    const pids = meant.map(({ pid }) => pid).join(', ');
    context.standardOutput.write(
      `would kill ${describe(target)} (${meant.length} processes: ${pids}). Nothing was changed.\n`,
    );
    return;
  }
  // Containers are children of the agent that started them, so a whole tree goes
  // only where the node is meant: `agent/NODE` is the one process alone.
  const count =
    target.kind === 'node'
      ? await killTrees(context.spawn, roots)
      : await killAlone(context.spawn, roots);
  for (const root of roots) await waitForEnd(context.spawn, context.timers, root, stopTimeoutMs);
  context.standardOutput.write(`killed ${describe(target)} (${count} processes)\n`);
}

/** The processes that `target` stands for, and from which all of it descends. */
async function rootsOf(fleet: Fleet, target: Target): Promise<ProcessIdentity[]> {
  const roots: ProcessIdentity[] = [];
  const run = await fleet.running(processNameOf(target));
  if (run !== undefined) roots.push(run);
  if (target.kind === 'node') roots.push(...(await aliveContainers(fleet, target.node)));
  if (roots.length === 0) throw new CommandFailure(`${describe(target)} does not run.`);
  return roots;
}

async function stop(
  context: CliContext,
  fleet: Fleet,
  target: Target,
  dryRun: boolean,
): Promise<void> {
  const name = processNameOf(target);
  const run = await fleet.running(name);
  if (run === undefined) throw new CommandFailure(`${describe(target)} does not run.`);
  if (dryRun) {
    const pods = target.kind === 'node' ? (await aliveContainers(fleet, target.node)).length : 0;
    const words = pods === 0 ? '' : `, and ${pods} containers before it`;
    context.standardOutput.write(
      `would stop ${describe(target)} (pid ${run.pid})${words}. Nothing was changed.\n`,
    );
    return;
  }
  await stopProcess(context, fleet, name, target.kind === 'node' ? 'SIGINT' : 'SIGTERM');
  context.standardOutput.write(`stopped ${describe(target)}\n`);
}

/**
 * Asks a role to end and waits. SIGTERM leaves the pods of an agent running;
 * SIGINT has the agent stop them first. Throws CommandFailure when it does not end.
 */
export async function stopProcess(
  context: CliContext,
  fleet: Fleet,
  name: ProcessName,
  signal: 'SIGTERM' | 'SIGINT',
): Promise<void> {
  const run = await fleet.running(name);
  if (run === undefined) return;
  await context.spawn.signal(run, signal);
  if (!(await waitForEnd(context.spawn, context.timers, run, stopTimeoutMs))) {
    throw new CommandFailure(
      `${name} (pid ${run.pid}) has not ended within ${stopTimeoutMs / 1000} s; see ${fleet.path(`logs/${name}.log`)}.`,
    );
  }
}

async function start(context: CliContext, fleet: Fleet, target: Target): Promise<void> {
  const name = processNameOf(target);
  const running = await fleet.running(name);
  if (running !== undefined) {
    throw new CommandFailure(`${describe(target)} runs already (pid ${running.pid}).`);
  }
  const run = await fleet.start(name);
  const words = target.kind === 'server' ? await whenReady(context, fleet) : '';
  context.standardOutput.write(`started ${describe(target)} (pid ${run.pid})${words}\n`);
}

/** What there is to say of a server that answers. */
async function whenReady(context: CliContext, fleet: Fleet): Promise<string> {
  const { isAwaitingChoice } = await waitForServer(context, fleet, () => undefined);
  if (!isAwaitingChoice) return '; it is ready';
  const program = selvageWords(context);
  return `; it takes no changes until you run '${program} restore adopt' or '${program} restore impose'`;
}

export async function aliveContainers(fleet: Fleet, node: string): Promise<ContainerStateFile[]> {
  const alive: ContainerStateFile[] = [];
  for (const container of await fleet.containers(node)) {
    if (await fleet.isAlive(container)) alive.push(container);
  }
  return alive;
}

function describe(target: Target): string {
  switch (target.kind) {
    case 'server':
      return 'the server';
    case 'agent':
      return `the agent of ${target.node}`;
    case 'node':
      return `node ${target.node}`;
  }
}
