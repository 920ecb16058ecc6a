/**
 * What is to be done for a pod, from what it asks for and what is there. Nothing
 * here acts: the worker does.
 *
 * Invariants:
 * 1. Init containers run one after the other, in their order; each must complete,
 *    a sidecar among them must have started, before the next one begins.
 * 2. What has completed is not run again, whoever looks at it, and how often.
 * 3. Sidecars live as long as the pod's work: they are stopped after everything
 *    else has ended, the last one first.
 * 4. A phase that is final is said only when nothing of the pod runs any more.
 */
import { assert } from '#base/mod.ts';
import { isSidecar, type Container, type PodPhase, type PodSpec } from '#platform/api/mod.ts';

export type ContainerRole = 'init' | 'sidecar' | 'main';
export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

export interface PodContainer {
  readonly role: ContainerRole;
  readonly container: Container;
}

export interface ObservedContainer {
  readonly name: string;
  readonly role: ContainerRole;
  readonly state: 'never' | 'running' | 'ended';
  /** Undefined unless it has ended. */
  readonly exitCode: number | undefined;
  /** It runs, its hook is done and its startup probe has passed. */
  readonly hasStarted: boolean;
  /** It was ended so that another image runs: it goes on with that, whatever its policy. */
  readonly isReplaced?: boolean;
}

export interface PodPlan {
  /** To be made run, in this order. */
  readonly attend: readonly string[];
  /** To be stopped now, because the pod's work is over. */
  readonly stop: readonly string[];
  /** Every init container has done its work. */
  readonly isInitialized: boolean;
}

/** Init containers first, in the order of the specification. */
export function containersOf(spec: PodSpec): readonly PodContainer[] {
  return [
    ...(spec.initContainers ?? []).map((container): PodContainer => {
      return { role: isSidecar(container) ? 'sidecar' : 'init', container };
    }),
    ...spec.containers.map((container): PodContainer => ({ role: 'main', container })),
  ];
}

/** When a container that ended is started again; an init container has a task to complete. */
export function restartPolicyOf(role: ContainerRole, pod: RestartPolicy): RestartPolicy {
  if (role === 'sidecar') return 'Always';
  if (role === 'init') return pod === 'Never' ? 'Never' : 'OnFailure';
  return pod;
}

/** It has ended, and is not started again. */
export function isOver(
  {
    role,
    state,
    exitCode,
    isReplaced,
  }: Pick<ObservedContainer, 'role' | 'state' | 'exitCode' | 'isReplaced'>,
  pod: RestartPolicy,
): boolean {
  if (state !== 'ended' || isReplaced === true) return false;
  const policy = restartPolicyOf(role, pod);
  return policy === 'Never' || (policy === 'OnFailure' && exitCode === 0);
}

/** For a pod that is to run. `wasInitialized`: it was, in an earlier pass. */
export function planPod(
  containers: readonly ObservedContainer[],
  policy: RestartPolicy,
  wasInitialized: boolean,
): PodPlan {
  const attend: string[] = [];
  let isInitialized = true;
  if (!wasInitialized && hasFailedInit(containers, policy)) {
    return { attend, stop: nextToStop(containers), isInitialized: false };
  }
  for (const container of containers) {
    if (container.role === 'main') break;
    const { name, role, state } = container;
    if (role === 'init') {
      if (isOver(container, policy)) continue;
      // Once the pod was initialized nothing of it is done again, also where its traces are lost.
      if (wasInitialized && state === 'never') continue;
    }
    attend.push(name);
    if (role === 'sidecar' && (container.hasStarted || wasInitialized)) continue;
    isInitialized = false;
    break;
  }
  if (!isInitialized) return { attend, stop: [], isInitialized };
  const mains = containers.filter(({ role }) => role === 'main');
  assert(mains.length > 0, 'a pod has a container');
  if (mains.every((container) => isOver(container, policy))) {
    return { attend: [], stop: nextToStop(containers), isInitialized };
  }
  for (const { name } of mains) attend.push(name);
  return { attend, stop: [], isInitialized };
}

/** One that is not run again, and has not done its work. */
function hasFailedInit(containers: readonly ObservedContainer[], policy: RestartPolicy): boolean {
  return containers.some(
    (container) =>
      container.role === 'init' && isOver(container, policy) && container.exitCode !== 0,
  );
}

/** Of a pod that ends: what is to be stopped now, so that sidecars serve to the last. */
export function nextToStop(containers: readonly ObservedContainer[]): readonly string[] {
  const running = containers.filter(({ state }) => state === 'running');
  const others = running.filter(({ role }) => role !== 'sidecar');
  const last = running.at(-1);
  if (others.length > 0) return others.map(({ name }) => name);
  return last === undefined ? [] : [last.name];
}

/** `isEnding`: nothing of it starts again, whatever its policy. */
export function phaseOf(
  containers: readonly ObservedContainer[],
  policy: RestartPolicy,
  { isEnding, hasFailed }: { readonly isEnding: boolean; readonly hasFailed: boolean },
): PodPhase {
  const mains = containers.filter(({ role }) => role === 'main');
  const isAnyRunning = containers.some(({ state }) => state === 'running');
  const hasBegun = mains.every(({ state }) => state !== 'never');
  if (isAnyRunning) return hasBegun ? 'Running' : 'Pending';
  if (hasFailed || hasFailedInit(containers, policy)) return 'Failed';
  if (!isEnding) {
    if (!hasBegun) return 'Pending';
    if (!mains.every((container) => isOver(container, policy))) return 'Running';
  }
  return mains.every(({ exitCode }) => exitCode === 0) ? 'Succeeded' : 'Failed';
}
