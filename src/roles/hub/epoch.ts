/**
 * The epoch of the hub's slices, kept in the store with everything else. Nodes obey
 * one epoch at a time and nothing of an older one, so a server that was superseded (by one that
 * was restored from its backup, say) cannot command them any more.
 *
 * Invariant: it rises with every new incarnation, before anybody follows that, and
 * above every epoch that a follower is known to have obeyed.
 */
import { hexOf, type Uid, utf8 } from '#base/mod.ts';
import type { Random } from '#platform/io/mod.ts';
import type { ObjectKey, Store, StoreView } from '#platform/store/mod.ts';
import { readFacet } from './stored-facets.ts';

const firstEpoch = 1;
const uidBytes = 16;
const epochKey: ObjectKey = { resource: 'epochs.selvage.dev', namespace: '', name: 'hub' };

export function epochOf(view: Pick<StoreView, 'get'>): number {
  const stored = view.get(epochKey);
  const epoch = stored === undefined ? undefined : readFacet(stored, 'intent')?.['epoch'];
  return typeof epoch === 'number' ? epoch : firstEpoch;
}

/** Begins an epoch above the present one and above `known`; durable when it resolves. */
export async function raiseEpoch(store: Store, random: Random, known: number): Promise<number> {
  const uid = hexOf(random.bytes(uidBytes)) as Uid;
  const { result } = await store.transact((view) => {
    const epoch = Math.max(epochOf(view), known) + 1;
    const bytes = utf8(JSON.stringify({ epoch }));
    return {
      changes: [
        {
          type: 'put' as const,
          key: epochKey,
          uid: view.get(epochKey)?.uid ?? uid,
          facet: 'intent' as const,
          bytes,
        },
      ],
      result: epoch,
    };
  });
  return result;
}
