/**
 * Changes to one object, decided inside a transaction of its store.
 *
 * Invariants:
 * 1. What a user writes changes the facets that users own; the others stay as
 *    they were, byte for byte.
 * 2. A change that changes nothing writes nothing: the resourceVersion stays.
 * 3. A dry run takes the same decision and throws the changes away.
 */
import type { Revision, Uid } from '#base/mod.ts';
import { equalBytes } from '#base/mod.ts';
import {
  type ApiObject,
  facetsOf,
  foldObject,
  type ResourceDefinition,
} from '#platform/api/mod.ts';
import type {
  Change,
  Facet,
  FacetValue,
  ObjectKey,
  StoredObject,
  StoreView,
  Transaction,
} from '#platform/store/mod.ts';
import { type ServerParts, storeOf } from './dependencies.ts';
import { serve, type ServedObject } from './served-objects.ts';

/** What a transaction makes of one object, before its revision is known. */
export interface Draft {
  readonly outcome: 'created' | 'updated' | 'unchanged' | 'removed';
  /** The state to answer with; facets that changed carry no revision of their own yet. */
  readonly stored: StoredObject;
}

/** Facets that a write of the main object, or of its status, may change. */
export type FacetScope = 'create' | 'main' | 'status';

export function draftCreate(
  definition: ResourceDefinition,
  key: ObjectKey,
  uid: Uid,
  object: ApiObject,
): Transaction<Draft> {
  const written = facetsOf(definition, object);
  const facets: Partial<Record<Facet, FacetValue>> = {};
  const changes: Change[] = [];
  for (const { facet, bytes, json } of written) {
    facets[facet] = { revision: 0 as Revision, bytes, decoded: json };
    changes.push({ type: 'put', key, uid, facet, bytes, decoded: json });
  }
  const stored = { key, uid, createdRevision: 0 as Revision, revision: 0 as Revision, facets };
  return { changes, result: { outcome: 'created', stored } };
}

/** `object` is the whole object as it should be; only the facets of `scope` are taken from it. */
export function draftUpdate(
  definition: ResourceDefinition,
  previous: StoredObject,
  object: ApiObject,
  scope: FacetScope,
): Transaction<Draft> {
  const { key, uid } = previous;
  const facets: Partial<Record<Facet, FacetValue>> = { ...previous.facets };
  const changes: Change[] = [];
  for (const { facet, bytes, json } of facetsOf(definition, object)) {
    const isOwned = scope === 'main' ? facet === 'intent' : facet === 'report';
    const before = previous.facets[facet];
    if (!isOwned || (before !== undefined && equalBytes(before.bytes, bytes))) continue;
    facets[facet] = { revision: previous.revision, bytes, decoded: json };
    changes.push({ type: 'put', key, uid, facet, bytes, decoded: json });
  }
  const outcome = changes.length === 0 ? 'unchanged' : 'updated';
  return { changes, result: { outcome, stored: { ...previous, facets } } };
}

export function draftRemove(previous: StoredObject): Transaction<Draft> {
  const { key, uid } = previous;
  return {
    changes: [{ type: 'delete', key, uid }],
    result: { outcome: 'removed', stored: previous },
  };
}

export interface Written {
  readonly outcome: Draft['outcome'];
  /** As served, at the revision of the change; shared with the watches that tell of it. */
  readonly served: ServedObject;
}

/** Decides and commits, or only decides where `dryRun`. */
export async function commitDraft(
  parts: ServerParts,
  definition: ResourceDefinition,
  dryRun: boolean,
  decide: (view: StoreView) => Transaction<Draft>,
): Promise<Written> {
  const store = storeOf(parts, definition);
  if (dryRun) {
    const { outcome, stored } = decide(store).result;
    const object = foldObject(definition, stored);
    if (outcome === 'created') delete object.metadata.resourceVersion;
    return { outcome, served: serve(object) };
  }
  const { revision, result } = await store.transact(decide);
  const { outcome, stored } = result;
  const at = outcome === 'unchanged' ? stored : { ...stored, revision };
  const newest = outcome === 'removed' ? undefined : store.get(stored.key);
  const isThisChange = newest?.uid === at.uid && newest.revision === at.revision;
  const served = isThisChange
    ? parts.served.of(definition, newest)
    : serve(foldObject(definition, at));
  return { outcome, served };
}
