/**
 * Removes pods that are deleted and whose node has said that nothing of them runs
 * any more. Nothing else removes an assigned pod.
 */
import { errorText } from '#base/mod.ts';
import type { Logger } from '#platform/io/mod.ts';
import type { CommittedBatch, Store, StoredObject } from '#platform/store/mod.ts';
import { isBeingDeleted, metadataOf, readFacet } from './stored-facets.ts';

export class Terminations {
  readonly #store: Store;
  readonly #logger: Logger;

  constructor(store: Store, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** For a hub that starts: what was reported before it did. */
  lookAtAll(): void {
    for (const pod of this.#store.list('pods')) if (mayGo(pod)) this.#remove(pod);
  }

  look(batch: CommittedBatch): void {
    for (const { type, object } of batch.events) {
      if (type === 'put' && object.key.resource === 'pods' && mayGo(object)) this.#remove(object);
    }
  }

  #remove(pod: StoredObject): void {
    this.#store
      .transact((view) => {
        const now = view.get(pod.key);
        const goes = now !== undefined && now.uid === pod.uid && mayGo(now);
        return {
          changes: goes ? [{ type: 'delete', key: pod.key, uid: pod.uid }] : [],
          result: undefined,
        };
      })
      .catch((error: unknown) => {
        this.#logger.log('error', 'a terminated pod could not be removed', {
          pod: `${pod.key.namespace}/${pod.key.name}`,
          error: errorText(error),
        });
      });
  }
}

function mayGo(pod: StoredObject): boolean {
  if (!isBeingDeleted(pod)) return false;
  if (readFacet(pod, 'report')?.['terminated'] !== true) return false;
  const { finalizers } = metadataOf(pod);
  return !Array.isArray(finalizers) || finalizers.length === 0;
}
