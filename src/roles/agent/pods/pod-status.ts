/** The status that an agent reports of a pod: a function of what it sees, and of what it last said. */
import type {
  ContainerState,
  ContainerStatus,
  PodCondition,
  PodPhase,
  PodStatus,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ContainerExit, ContainerRun } from '../runtimes/types.ts';
import type { ContainerRole } from './pod-plan.ts';
import type { PodFailure } from './pod-record.ts';

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

export interface ContainerView {
  readonly name: string;
  /** That it is to run; what runs may be another one still. */
  readonly image: string;
  readonly role: ContainerRole;
  /** The newest run, if there was one. */
  readonly run: ContainerRun | undefined;
  /** Why there is no run, or why the next one has not begun. */
  readonly waiting: Waiting | undefined;
  readonly hasStarted: boolean;
  readonly isReady: boolean;
  /** It has ended as was reported once, and its run is not known any more. */
  readonly kept?: ContainerStatus | undefined;
}

export interface PodView {
  /** Init containers first. */
  readonly containers: readonly ContainerView[];
  readonly phase: PodPhase;
  readonly isInitialized: boolean;
  readonly ip: string;
  readonly hostIp: string;
  readonly startedAtMs: number;
  /** It ends for good: it does no more work, whatever still runs. */
  readonly isEnding: boolean;
  readonly failure: PodFailure | undefined;
}

export function podStatusOf(
  view: PodView,
  previous: readonly PodCondition[],
  nowMs: number,
): PodStatus {
  const { phase, failure } = view;
  const inits = view.containers.filter(({ role }) => role !== 'main').map(containerStatusOf);
  const mains = view.containers
    .filter(({ role }) => role === 'main')
    .map((container) => containerStatusOf(container))
    .map((status) => (view.isInitialized ? status : initializing(status)));
  const conditions = conditionsOf(view, inits, mains);
  return {
    phase,
    ...(failure === undefined ? {} : failure),
    hostIP: view.hostIp,
    podIP: view.ip,
    podIPs: [{ ip: view.ip }],
    startTime: timestampOf(view.startedAtMs),
    conditions: conditions.map((condition) => ({
      ...condition,
      lastTransitionTime:
        previous.find(
          (before) => before.type === condition.type && before.status === condition.status,
        )?.lastTransitionTime ?? timestampOf(nowMs),
    })),
    ...(inits.length === 0 ? {} : { initContainerStatuses: inits }),
    containerStatuses: mains,
  };
}

function conditionsOf(
  view: PodView,
  inits: readonly ContainerStatus[],
  mains: readonly ContainerStatus[],
): PodCondition[] {
  const sidecars = new Set(
    view.containers.filter(({ role }) => role === 'sidecar').map(({ name }) => name),
  );
  const lasting = [...inits.filter(({ name }) => sidecars.has(name)), ...mains];
  const unready = lasting.filter(({ ready }) => !ready);
  const isReady = view.isInitialized && unready.length === 0 && !view.isEnding;
  const notReady = {
    reason: view.phase === 'Succeeded' ? 'PodCompleted' : 'ContainersNotReady',
    message: `containers with unready status: [${unready.map(({ name }) => name).join(' ')}]`,
  };
  const incomplete = inits.filter(({ name, ready, started }) =>
    sidecars.has(name) ? started !== true : !ready,
  );
  const notInitialized = {
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${incomplete.map(({ name }) => name).join(' ')}]`,
  };
  return [
    { type: 'PodScheduled', status: 'True' },
    view.isInitialized
      ? { type: 'Initialized', status: 'True' }
      : { type: 'Initialized', status: 'False', ...notInitialized },
    isReady
      ? { type: 'ContainersReady', status: 'True' }
      : { type: 'ContainersReady', status: 'False', ...notReady },
    isReady ? { type: 'Ready', status: 'True' } : { type: 'Ready', status: 'False', ...notReady },
  ];
}

/** Waits for the init containers, and for nothing of its own. */
function initializing(status: ContainerStatus): ContainerStatus {
  const isPlain = status.state?.waiting?.reason === 'ContainerCreating';
  return isPlain ? { ...status, state: { waiting: { reason: 'PodInitializing' } } } : status;
}

function containerStatusOf(view: ContainerView): ContainerStatus {
  const { name, image, role, run, waiting, kept } = view;
  if (run === undefined && kept !== undefined) return kept;
  if (run === undefined) {
    const reason = role === 'main' ? 'ContainerCreating' : 'PodInitializing';
    const state = { waiting: { ...(waiting ?? { reason }) } };
    return { name, state, ready: false, started: false, restartCount: 0, image, imageID: '' };
  }
  const { exit, last } = run;
  const before = exit !== undefined && waiting !== undefined ? exit : last;
  const hasCompleted = role === 'init' && exit?.exitCode === 0;
  return {
    name,
    state: stateOf(run, waiting),
    ...(before === undefined ? {} : { lastState: { terminated: terminatedOf(before) } }),
    ready: view.isReady || hasCompleted,
    started: view.hasStarted,
    restartCount: run.restartCount,
    image: run.image,
    imageID: imageIdOf(run.image, run.digest),
    containerID: run.containerId,
  };
}

function stateOf(run: ContainerRun, waiting: Waiting | undefined): ContainerState {
  if (run.exit === undefined) return { running: { startedAt: timestampOf(run.startedAtMs) } };
  return waiting === undefined ? { terminated: terminatedOf(run.exit) } : { waiting };
}

function terminatedOf(exit: ContainerExit): NonNullable<ContainerState['terminated']> {
  return {
    exitCode: exit.exitCode,
    reason: exit.reason,
    startedAt: timestampOf(exit.startedAtMs),
    finishedAt: timestampOf(exit.finishedAtMs),
    containerID: exit.containerId,
  };
}

/** `name@digest`: the reference without its tag, and what it really was. */
function imageIdOf(reference: string, digest: string): string {
  const name = reference.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  return `${name}@${digest}`;
}
