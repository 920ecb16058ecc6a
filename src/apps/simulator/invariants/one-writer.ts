/**
 * 5. Every facet has one writer. Here it is the part of the server that writes:
 * what people and controllers declare comes through the API, where a pod runs and
 * what is concluded comes from the hub, which also writes down what a node reports;
 * identity makes nodes; the catalog names images. The one thing about a pod's intent
 * that is the hub's is its deletion (an eviction): what is declared stays as it is.
 */
import { isJsonObject, textOf } from '#base/mod.ts';
import type { StorePart } from '#apps/assembly/mod.ts';
import type { Change, Store, StoreView } from '#platform/store/mod.ts';
import { delegatingStore } from '../store-seam.ts';
import { facetOf, keyText } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

type Put = Change & { readonly type: 'put' };

function isEviction(change: Put, view: StoreView): boolean {
  if (change.key.resource !== 'pods' || change.facet !== 'intent') return false;
  const before = view.get(change.key);
  const spec = before === undefined ? undefined : facetOf(before, 'intent')?.['spec'];
  const after: unknown = JSON.parse(textOf(change.bytes));
  return isJsonObject(after) && JSON.stringify(after['spec']) === JSON.stringify(spec);
}

function mayWrite(part: StorePart, change: Put, view: StoreView): boolean {
  const { facet } = change;
  const { resource } = change.key;
  const isCarriedOut = resource === 'pods' || resource === 'nodes';
  switch (part) {
    case 'server':
      return facet === 'intent' || (facet === 'report' && !isCarriedOut);
    case 'hub':
      if (isCarriedOut) return facet !== 'intent' || isEviction(change, view);
      return resource === 'outboxcursors.selvage.dev' || resource === 'epochs.selvage.dev';
    case 'identity':
      return (
        (facet === 'intent' && resource !== 'pods') ||
        (facet === 'assignment' && resource === 'nodes')
      );
    case 'images':
      return facet === 'intent' && resource === 'imagetags.selvage.dev';
  }
}

/** The same store, with every write of that part looked at. */
export function watchWriter(store: Store, part: StorePart, violate: Violate): Store {
  return delegatingStore(store, {
    transact: (decide) =>
      store.transact((view) => {
        const transaction = decide(view);
        for (const change of transaction.changes) {
          if (change.type === 'delete' || mayWrite(part, change, view)) continue;
          const why = `${part} wrote the ${change.facet} of ${keyText(change.key)}`;
          violate(invariants.oneWriter, why);
        }
        return transaction;
      }),
  });
}
