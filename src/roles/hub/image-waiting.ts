/**
 * What is said of a pod that gets no node because of its images: of each container
 * concerned what its node would say if it had one, as that is where people look.
 *
 * Invariants:
 * 1. It follows from the problems and from what was said before: a problem that is found
 *    again is a back-off.
 * 2. Only containers with a problem are in it, and none of a pod that has a node, which
 *    speaks for itself.
 */
import type { JsonObject } from '#base/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { listIn, objectIn, textIn } from './json-fields.ts';
import { containersOf, nodeNameOf } from './stored-facets.ts';

export interface ImageProblem {
  readonly reason: 'ErrImagePull' | 'InvalidImageName';
  /** What is wrong and what to do about it, for people. */
  readonly message: string;
}

export interface WaitingEvent {
  readonly severity: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** As PodVerdict has it; undefined where there is nothing to say. `problems` by reference. */
export function waitingFor(
  pod: StoredObject,
  problems: ReadonlyMap<string, ImageProblem> | undefined,
  before: JsonObject,
): JsonObject | undefined {
  if (problems === undefined || problems.size === 0 || nodeNameOf(pod) !== undefined) {
    return undefined;
  }
  const statuses = (
    list: 'containers' | 'initContainers',
    said: readonly JsonObject[],
  ): JsonObject[] =>
    containersOf(pod, list).flatMap((container) => {
      const [name, image] = [textIn(container['name']), textIn(container['image'])];
      const problem = problems.get(image);
      if (problem === undefined) return [];
      const known = objectIn(
        said.find((status) => status['name'] === name),
        'state',
      );
      const waiting = waitingWords(image, problem, objectIn(known, 'waiting'));
      const state = { waiting };
      return [{ name, state, ready: false, started: false, restartCount: 0, image, imageID: '' }];
    });
  const inits = statuses('initContainers', listIn(before['initContainerStatuses']));
  const mains = statuses('containers', listIn(before['containerStatuses']));
  return {
    ...(inits.length === 0 ? {} : { initContainerStatuses: inits }),
    ...(mains.length === 0 ? {} : { containerStatuses: mains }),
  };
}

function waitingWords(
  image: string,
  { reason, message }: ImageProblem,
  before: JsonObject,
): JsonObject {
  const backOff = `${backOffText(image)}: ${message}`;
  const isRepeated =
    reason === 'ErrImagePull' && (before['message'] === message || before['message'] === backOff);
  return isRepeated ? { reason: 'ImagePullBackOff', message: backOff } : { reason, message };
}

/** What is new in `after`, each once. */
export function waitingEvents(before: JsonObject, after: JsonObject): readonly WaitingEvent[] {
  const events = new Map<string, WaitingEvent>();
  for (const list of ['initContainerStatuses', 'containerStatuses']) {
    for (const status of listIn(after[list])) {
      const waiting = waitingOf(status);
      const known = listIn(before[list]).find((one) => one['name'] === status['name']);
      const was = known === undefined ? {} : waitingOf(known);
      if (was['reason'] === waiting['reason'] && was['message'] === waiting['message']) continue;
      const event = eventOf(textIn(status['image']), waiting);
      events.set(`${event.reason} ${event.message}`, event);
    }
  }
  return [...events.values()];
}

function waitingOf(status: JsonObject): JsonObject {
  return objectIn(status['state'], 'waiting');
}

function eventOf(image: string, waiting: JsonObject): WaitingEvent {
  const why = textIn(waiting['message']);
  if (waiting['reason'] === 'ImagePullBackOff') {
    return { severity: 'Normal', reason: 'BackOff', message: backOffText(image) };
  }
  if (waiting['reason'] === 'InvalidImageName') {
    const message = `Failed to read image name "${image}": ${why}`;
    return { severity: 'Warning', reason: 'InspectFailed', message };
  }
  const message = `Failed to pull image "${image}": ${why}`;
  return { severity: 'Warning', reason: 'Failed', message };
}

function backOffText(image: string): string {
  return `Back-off pulling image "${image}"`;
}
