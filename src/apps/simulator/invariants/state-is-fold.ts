/**
 * 2. What a store shows is the fold of its log: an observer that applied every
 * transaction itself holds the same objects, facet by facet, as the store does,
 * also after the store was read again from its disk.
 */
import { equalBytes } from '#base/mod.ts';
import type { Facet, Store } from '#platform/store/mod.ts';
import type { Truth } from '../truth.ts';
import { keyText } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

/** For a store at the revision that the observer has seen. */
export function checkStateIsFold(
  store: Store,
  resources: readonly string[],
  truth: Truth,
  violate: Violate,
): void {
  const fail = (why: string): void => violate(invariants.stateIsFold, why);
  let count = 0;
  for (const resource of resources) {
    for (const object of store.list(resource)) {
      count += 1;
      const folded = truth.get(object.key);
      if (folded === undefined || folded.uid !== object.uid) {
        return fail(`${keyText(object.key)} is in the store and not in the fold of its log`);
      }
      if (folded.revision !== object.revision) {
        return fail(
          `${keyText(object.key)} is at ${object.revision}, its log says ${folded.revision}`,
        );
      }
      for (const [name, value] of Object.entries(object.facets)) {
        const other = folded.facets[name as Facet];
        if (other === undefined || !equalBytes(other.bytes, value.bytes)) {
          return fail(`the ${name} of ${keyText(object.key)} is not what its log says`);
        }
      }
    }
  }
  if (count !== truth.objectCount) {
    fail(`the store holds ${count} objects, the fold of its log ${truth.objectCount}`);
  }
}
