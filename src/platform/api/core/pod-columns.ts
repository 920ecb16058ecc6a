/** What `kubectl get pods` shows: the state of a pod in one word, as people expect to read it. */
import type { Column } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { ageText } from '../age-text.ts';
import { ageColumn, column, wideColumn } from '../meta/columns.ts';
import { conditionOf } from '../meta/condition.ts';
import type { ContainerStatus, Pod } from './pod-types.ts';

export const podColumns: readonly Column[] = [
  column('Ready', 'string', 'Containers that are ready, of all.', (object) => {
    const pod = object as Pod;
    const ready = (pod.status?.containerStatuses ?? []).filter((status) => status.ready).length;
    return `${ready}/${pod.spec.containers.length}`;
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
];

/** The most telling word: why a container waits or how it ended, before the phase. */
export function podStatusWord(pod: Pod): string {
  const status = pod.status ?? {};
  const containers = status.containerStatuses ?? [];
  let word = status.reason ?? status.phase ?? 'Pending';
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
  for (const container of pod.status?.containerStatuses ?? []) {
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
  'spec.restartPolicy': (object) => (object as Pod).spec.restartPolicy ?? '',
  'status.phase': (object) => (object as Pod).status?.phase ?? '',
  'status.podIP': (object) => (object as Pod).status?.podIP ?? '',
};
