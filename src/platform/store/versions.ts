/**
 * What changes make of the objects that they touch: pure, for the store that owns them
 * and for a copy that follows it alike.
 */
import { assert, type Revision, type Uid } from '#base/mod.ts';
import { keyText } from './key.ts';
import { facetOrder } from './record.ts';
import type { Entry, Indexes } from './tables.ts';
import type { Change, Facet, FacetValue, ObjectEvent, StoredObject } from './types.ts';

/** What a transaction makes of one key. */
export interface Version {
  readonly text: string;
  readonly type: 'put' | 'delete';
  /** For a deletion the last state, at the revision of the deletion. */
  readonly entry: Entry;
  readonly previous: StoredObject | undefined;
}

/** The changes folded into one version a key, against the newest accepted state. */
export function versionsOf(
  changes: readonly Change[],
  revision: Revision,
  indexes: Indexes,
  newest: (text: string) => StoredObject | undefined,
): Version[] {
  const only = changes[0];
  if (changes.length === 1 && only?.type === 'put') {
    const text = keyText(only.key);
    const previous = newest(text);
    const entry = indexes.entryOf(putFacet(previous, only, revision));
    return [{ text, type: 'put', entry, previous }];
  }
  const versions = new Map<string, Version>();
  for (const change of changes) {
    const text = keyText(change.key);
    const earlier = versions.get(text);
    const before = earlier === undefined ? newest(text) : present(earlier);
    const previous = earlier === undefined ? before : earlier.previous;
    const object =
      change.type === 'put'
        ? putFacet(before, change, revision)
        : deleted(before, change, revision);
    if (change.type === 'delete' && previous === undefined) {
      assert(earlier !== undefined, 'only what exists is deleted');
      versions.delete(text);
      continue;
    }
    versions.set(text, {
      text,
      type: change.type,
      entry: indexes.entryOf(object),
      previous,
    });
  }
  return [...versions.values()];
}

/** What history keeps of facets that are no more is their bytes. */
export function forgetDecoded({ type, object, previous }: ObjectEvent): void {
  const last = previous ?? object;
  if (type === 'put' && previous === undefined) return;
  for (const facet of facetOrder) {
    const value = last.facets[facet];
    const isReplaced = type === 'delete' || value !== object.facets[facet];
    if (value?.decoded !== undefined && isReplaced) value.decoded = undefined;
  }
}

export function present(version: Pick<Version, 'type' | 'entry'>): StoredObject | undefined {
  return version.type === 'put' ? version.entry.object : undefined;
}

function putFacet(
  before: StoredObject | undefined,
  change: Change & { readonly type: 'put' },
  revision: Revision,
): StoredObject {
  assert(
    before === undefined || before.uid === change.uid,
    `a write to ${keyText(change.key)} names the object that is there`,
  );
  const { bytes, decoded } = change;
  const note = change.note ?? before?.facets[change.facet]?.note ?? '';
  // A part of something larger would keep all of that in memory.
  const isPart = bytes.byteLength !== bytes.buffer.byteLength;
  const kept = isPart ? bytes.slice() : bytes;
  const value: FacetValue =
    note === '' ? { revision, bytes: kept } : { revision, bytes: kept, note };
  if (decoded !== undefined) value.decoded = decoded;
  const facets: Partial<Record<Facet, FacetValue>> =
    before === undefined ? { [change.facet]: value } : { ...before.facets, [change.facet]: value };
  return {
    key: before?.key ?? {
      resource: change.key.resource,
      namespace: change.key.namespace,
      name: change.key.name,
    },
    uid: change.uid,
    createdRevision: before?.createdRevision ?? revision,
    revision,
    facets,
  };
}

function deleted(
  before: StoredObject | undefined,
  change: Change & { readonly type: 'delete' },
  revision: Revision,
): StoredObject {
  const uid: Uid | undefined = before?.uid;
  assert(
    before !== undefined && uid === change.uid,
    `a deletion of ${keyText(change.key)} names the object that is there`,
  );
  return { ...before, revision };
}
