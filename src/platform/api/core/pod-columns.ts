/** What `kubectl get pods` shows: the state of a pod in one word, as people expect to read it. */
import type { Column } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { ageText } from '../age-text.ts';
import { ageColumn, column, wideColumn } from '../meta/columns.ts';
import { conditionOf } from '../meta/condition.ts';
import { type Container, type ContainerStatus, isSidecar, type Pod } from './pod-types.ts';

export const podColumns: readonly Column[] = [
  column('Ready', 'string', 'Containers that are ready, of all.', (object) => {
    const pod = object as Pod;
    const names = new Set(lastingContainers(pod).map(({ name }) => name));
    const ready = statusesOf(pod).filter((status) => status.ready && names.has(status.name));
    return `${ready.length}/${names.size}`;
  }),
  column('Status', 'string', 'The state of the pod in one word.', (object) =>
    podStatusWord(object as Pod),
  ),
  column(
    'Restarts',
    'string',
    'How often containers were started again, and when last.',
    (object, nowMs) => restarts(object as Pod, nowMs),
  ),
  ageColumn,
  wideColumn('IP', 'string', 'Address of the pod.', (object) => {
    return (object as Pod).status?.podIP ?? '<none>';
  }),
  wideColumn('Node', 'string', 'The node that the pod was assigned to.', (object) => {
    return (object as Pod).spec.nodeName ?? '<none>';
  }),
  wideColumn('Nominated Node', 'string', 'The node on which room is made for it.', (object) => {
    return (object as Pod).status?.nominatedNodeName ?? '<none>';
  }),
];

/** Containers and sidecars: what is there as long as the pod is. */
function lastingContainers({ spec }: Pod): readonly Container[] {
  return [...(spec.initContainers ?? []).filter(isSidecar), ...spec.containers];
}

function statusesOf({ status }: Pod): readonly ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

/** How far the init containers are; undefined where they have done their work. */
function initWord({ spec, status }: Pod): string | undefined {
  const containers = spec.initContainers ?? [];
  const known = status?.initContainerStatuses ?? [];
  for (const [position, container] of containers.entries()) {
    const found = known.find(({ name }) => name === container.name);
    if (found?.state?.terminated?.exitCode === 0) continue;
    if (isSidecar(container) && found?.started === true) continue;
    // Without a node there is something only of those that none could start.
    const telling = found ?? known[0];
    const word = telling === undefined ? undefined : containerWord(telling);
    const isTelling = word !== undefined && word !== 'PodInitializing';
    return isTelling ? `Init:${word}` : `Init:${position}/${containers.length}`;
  }
  return undefined;
}

function isInitialized(pod: Pod): boolean {
  return (
    initWord(pod) === undefined ||
    conditionOf(pod.status?.conditions, 'Initialized')?.status === 'True'
  );
}

/** The most telling word: why a container waits or how it ended, before the phase. */
export function podStatusWord(pod: Pod): string {
  const status = pod.status ?? {};
  const containers = status.containerStatuses ?? [];
  let word = status.reason ?? status.phase ?? 'Pending';
  // Nothing of it is known yet, or it is over: then the phase says more.
  const isBegun = (status.initContainerStatuses ?? []).length > 0 && status.reason === undefined;
  if (isBegun && !isInitialized(pod) && pod.metadata.deletionTimestamp === undefined) {
    return initWord(pod) ?? word;
  }
  // The first container in the list has the last say.
  for (const container of containers.toReversed()) word = containerWord(container) ?? word;
  if (word === 'Completed' && containers.some((container) => container.state?.running)) {
    const ready = conditionOf(status.conditions, 'Ready')?.status === 'True';
    word = ready ? 'Running' : 'NotReady';
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === 'NodeLost') return 'Unknown';
    if (status.phase !== 'Succeeded' && status.phase !== 'Failed') return 'Terminating';
  }
  return word;
}

function containerWord({ state }: ContainerStatus): string | undefined {
  if (state?.waiting?.reason) return state.waiting.reason;
  if (state?.terminated === undefined) return undefined;
  const { reason, signal, exitCode } = state.terminated;
  if (reason) return reason;
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

function restarts(pod: Pod, nowMs: number): string {
  let count = 0;
  let latest: string | undefined;
  const names = new Set(lastingContainers(pod).map(({ name }) => name));
  const hasBegun = isInitialized(pod);
  for (const container of statusesOf(pod)) {
    if (hasBegun && !names.has(container.name)) continue;
    count += container.restartCount;
    const finishedAt = container.lastState?.terminated?.finishedAt;
    if (finishedAt !== undefined && (latest === undefined || finishedAt > latest)) {
      latest = finishedAt;
    }
  }
  return count > 0 && latest !== undefined
    ? `${count} (${ageText(latest, nowMs)} ago)`
    : `${count}`;
}

export const podSelectableFields: Readonly<Record<string, (object: ApiObject) => string>> = {
  'spec.nodeName': (object) => (object as Pod).spec.nodeName ?? '',
  'spec.hostNetwork': (object) => String((object as Pod).spec.hostNetwork ?? false),
  'spec.schedulerName': (object) => (object as Pod).spec.schedulerName ?? 'default-scheduler',
  'spec.serviceAccountName': (object) => (object as Pod).spec.serviceAccountName ?? '',
  'spec.restartPolicy': (object) => (object as Pod).spec.restartPolicy ?? '',
  'status.nominatedNodeName': (object) => (object as Pod).status?.nominatedNodeName ?? '',
  'status.phase': (object) => (object as Pod).status?.phase ?? '',
  'status.podIP': (object) => (object as Pod).status?.podIP ?? '',
};
