/**
 * Removes pods that are deleted and of which nothing runs any more.
 *
 * Invariants:
 * 1. An assigned pod goes when its node has said that nothing of it runs, or when
 *    its Node is deleted: that is how an operator says that the machine is gone
 *    for good, and such a node is not let in again.
 * 2. Nothing else removes an assigned pod, however long its node is silent.
 * 3. What the store refuses is tried again until it is done.
 */
import { errorText } from '#base/mod.ts';
import { type Clock, type Logger, timestampOf, type Timers } from '#platform/io/mod.ts';
import type {
  Change,
  CommittedBatch,
  Store,
  StoredObject,
  StoreView,
} from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import { SecondLook } from './second-look.ts';
import {
  isBeingDeleted,
  isUnplaced,
  metadataOf,
  nodeKey,
  nodeNameOf,
  podsByNode,
  putFacet,
  readFacet,
} from './stored-facets.ts';

export interface TerminationsDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly events: EventReports;
}

type View = Pick<StoreView, 'get'>;

export class Terminations {
  readonly #dependencies: TerminationsDependencies;
  readonly #secondLook: SecondLook;

  constructor(dependencies: TerminationsDependencies) {
    this.#dependencies = dependencies;
    this.#secondLook = new SecondLook(dependencies.timers, () => this.lookAtAll());
  }

  close(): void {
    this.#secondLook.close();
  }

  /** For a hub that starts: what was reported before it did. And after something was refused. */
  lookAtAll(): void {
    const { store } = this.#dependencies;
    for (const pod of store.list('pods')) {
      if (mayGo(store, pod)) this.#remove(pod);
      // One that waits for its images may name a node that is still to come.
      else if (isOrphan(store, pod) && !isUnplaced(pod)) this.#fence(pod);
    }
  }

  look(batch: CommittedBatch): void {
    const { store } = this.#dependencies;
    for (const { type, object } of batch.events) {
      const { resource, name } = object.key;
      if (type === 'put' && resource === 'pods' && mayGo(store, object)) this.#remove(object);
      if (type === 'delete' && resource === 'nodes') {
        for (const pod of store.lookup(podsByNode, name)) this.#fence(pod);
      }
    }
  }

  #remove(pod: StoredObject): void {
    this.#commit(pod, (view, now) => (mayGo(view, now) ? [removalOf(now)] : []));
  }

  /** The pod of a node that is no more: it goes, once its finalizers are done. */
  #fence(pod: StoredObject): void {
    const { clock, events } = this.#dependencies;
    const deletionTimestamp = timestampOf(clock.wallMs());
    const isNews = !isBeingDeleted(pod);
    const say = (): void => {
      const nodeName = nodeNameOf(pod) ?? '';
      const message = `node ${nodeName} was deleted from the fleet, and the pod with it`;
      events.record('node-controller', pod, 'Warning', 'NodeDeleted', message);
    };
    const decide = (view: View, now: StoredObject): readonly Change[] => {
      if (!isOrphan(view, now)) return [];
      if (!hasFinalizers(now)) return [removalOf(now)];
      if (isBeingDeleted(now)) return [];
      const intent = readFacet(now, 'intent') ?? {};
      const metadata = { ...metadataOf(now), deletionTimestamp, deletionGracePeriodSeconds: 0 };
      return [putFacet(now, 'intent', { ...intent, metadata })];
    };
    this.#commit(pod, decide, isNews ? say : undefined);
  }

  #commit(
    pod: StoredObject,
    decide: (view: View, now: StoredObject) => readonly Change[],
    onDone?: () => void,
  ): void {
    const { store, logger } = this.#dependencies;
    store
      .transact((view) => {
        const now = view.get(pod.key);
        const isSame = now !== undefined && now.uid === pod.uid;
        const changes = isSame ? decide(view, now) : [];
        return { changes, result: changes.length > 0 };
      })
      .then(
        ({ result }) => {
          if (result) onDone?.();
        },
        (error: unknown) => {
          if (!this.#secondLook.request()) return;
          logger.log('error', 'a terminated pod could not be removed; it is tried again', {
            pod: `${pod.key.namespace}/${pod.key.name}`,
            error: errorText(error),
          });
        },
      );
  }
}

function removalOf(pod: StoredObject): Change {
  return { type: 'delete', key: pod.key, uid: pod.uid };
}

function mayGo(view: View, pod: StoredObject): boolean {
  if (!isBeingDeleted(pod) || hasFinalizers(pod)) return false;
  return readFacet(pod, 'report')?.['terminated'] === true || isOrphan(view, pod);
}

function isOrphan(view: View, pod: StoredObject): boolean {
  const nodeName = nodeNameOf(pod);
  return nodeName !== undefined && view.get(nodeKey(nodeName)) === undefined;
}

function hasFinalizers(pod: StoredObject): boolean {
  const { finalizers } = metadataOf(pod);
  return Array.isArray(finalizers) && finalizers.length > 0;
}
