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

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

export interface ContainerView {
  readonly name: string;
  readonly image: string;
  /** The newest run, if there was one. */
  readonly run: ContainerRun | undefined;
  /** Why there is no run, or why the next one has not begun. */
  readonly waiting: Waiting | undefined;
}

export interface PodView {
  readonly containers: readonly ContainerView[];
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never';
  readonly ip: string;
  readonly hostIp: string;
  readonly startedAtMs: number;
  /** It ends for good: nothing starts again, whatever the policy. */
  readonly isEnding: boolean;
}

export function podStatusOf(
  view: PodView,
  previous: readonly PodCondition[],
  nowMs: number,
): PodStatus {
  const phase = phaseOf(view);
  const unready = view.containers.filter((container) => !isRunning(container));
  const isReady = unready.length === 0 && !view.isEnding;
  const notReady = {
    reason: phase === 'Succeeded' ? 'PodCompleted' : 'ContainersNotReady',
    message: `containers with unready status: [${unready.map(({ name }) => name).join(' ')}]`,
  };
  const conditions: PodCondition[] = [
    { type: 'PodScheduled', status: 'True' },
    { type: 'Initialized', status: 'True' },
    isReady
      ? { type: 'ContainersReady', status: 'True' }
      : { type: 'ContainersReady', status: 'False', ...notReady },
    isReady ? { type: 'Ready', status: 'True' } : { type: 'Ready', status: 'False', ...notReady },
  ];
  return {
    phase,
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
    containerStatuses: view.containers.map(containerStatusOf),
  };
}

function isRunning({ run }: ContainerView): boolean {
  return run !== undefined && run.exit === undefined;
}

function phaseOf({ containers, restartPolicy, isEnding }: PodView): PodPhase {
  if (containers.some(({ run }) => run === undefined) && !isEnding) return 'Pending';
  if (containers.some(isRunning)) return 'Running';
  const hasFailed = containers.some(({ run }) => run?.exit?.exitCode !== 0);
  const restarts =
    !isEnding && (restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && hasFailed));
  if (restarts) return 'Running';
  return hasFailed ? 'Failed' : 'Succeeded';
}

function containerStatusOf({ name, image, run, waiting }: ContainerView): ContainerStatus {
  if (run === undefined) {
    const state = { waiting: { ...(waiting ?? { reason: 'ContainerCreating' }) } };
    return { name, state, ready: false, started: false, restartCount: 0, image, imageID: '' };
  }
  const { exit, last } = run;
  const before = exit !== undefined && waiting !== undefined ? exit : last;
  const running = exit === undefined;
  return {
    name,
    state: stateOf(run, waiting),
    ...(before === undefined ? {} : { lastState: { terminated: terminatedOf(before) } }),
    ready: running,
    started: running,
    restartCount: run.restartCount,
    image,
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
