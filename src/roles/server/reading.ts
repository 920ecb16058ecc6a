/**
 * Reading objects of any kind: from the main store, from the events ring, or made
 * on the spot (Leases, Endpoints).
 *
 * Invariant: a list and its revision are of one view; nothing awaits in between.
 */
import type { Revision } from '#base/mod.ts';
import { type ResourceDefinition, resourceName, StatusError } from '#platform/api/mod.ts';
import {
  CompactedError,
  type CommittedBatch,
  compareKeys,
  keyText,
  type ObjectKey,
  type Store,
  type StoredObject,
} from '#platform/store/mod.ts';
import { type ServerParts, storeOf } from './dependencies.ts';
import type { Selection } from './selection.ts';
import { serve, type ServedObject } from './served-objects.ts';
import { synthesizedSource } from './synthesized.ts';

export function keyOf(definition: ResourceDefinition, namespace: string, name: string): ObjectKey {
  return { resource: resourceName(definition), namespace, name };
}

/** `pods "web" not found`, as Kubernetes words it. */
export function notFoundError(definition: ResourceDefinition, name: string): StatusError {
  return new StatusError(
    'NotFound',
    `${resourceName(definition)} ${JSON.stringify(name)} not found`,
    { kind: definition.plural, group: definition.group, name },
  );
}

/** Throws 404 where there is none. */
export function readObject(
  parts: ServerParts,
  definition: ResourceDefinition,
  namespace: string,
  name: string,
): ServedObject {
  if (isMadeOnRead(definition, namespace)) {
    const made = synthesizedSource(definition).get(parts, namespace, name);
    if (made === undefined) throw notFoundError(definition, name);
    return serve(made);
  }
  const stored = storeOf(parts, definition).get(keyOf(definition, namespace, name));
  if (stored === undefined) throw notFoundError(definition, name);
  return parts.served.of(definition, stored);
}

function isMadeOnRead(definition: ResourceDefinition, namespace: string): boolean {
  const { storage, synthesizedNamespace } = definition;
  return storage === 'synthesized' || (namespace !== '' && namespace === synthesizedNamespace);
}

export interface Listing {
  readonly revision: number;
  /** Each is folded when asked for. */
  readonly items: readonly (() => ServedObject)[];
}

/** What is selected now, sorted by namespace and name. `namespace` empty means all of them. */
export function listObjects(
  parts: ServerParts,
  definition: ResourceDefinition,
  namespace: string,
  selection: Selection,
): Listing {
  const made = madeObjects(parts, definition, namespace, selection);
  if (isMadeOnRead(definition, namespace)) return { revision: parts.store.revision, items: made };
  const store = storeOf(parts, definition);
  const stored = candidates(parts, definition, namespace, selection);
  const selected = selection.isEverything
    ? stored
    : stored.filter((object) => selection.matches(parts.served.of(definition, object).object));
  const items = selected.map((object) => () => parts.served.of(definition, object));
  if (made.length > 0) {
    const { synthesizedNamespace = '' } = definition;
    const after = selected.findIndex(({ key }) => key.namespace > synthesizedNamespace);
    items.splice(after < 0 ? items.length : after, 0, ...made);
  }
  return { revision: store.revision, items };
}

/** What of the selected is in no store. */
function madeObjects(
  parts: ServerParts,
  definition: ResourceDefinition,
  namespace: string,
  selection: Selection,
): (() => ServedObject)[] {
  const { storage, synthesizedNamespace } = definition;
  const hasSome = storage === 'synthesized' || synthesizedNamespace !== undefined;
  if (!hasSome) return [];
  const all = synthesizedSource(definition).list(parts, namespace);
  return all.filter((object) => selection.matches(object)).map((object) => () => serve(object));
}

/** As it was at a revision that the store's history still reaches back to. Throws 410 Expired. */
export function listObjectsAt(
  parts: ServerParts,
  definition: ResourceDefinition,
  namespace: string,
  selection: Selection,
  revision: number,
): Listing {
  const now = listObjects(parts, definition, namespace, selection);
  if (now.revision === revision) return now;
  if (definition.storage === 'synthesized') throw tooOldError(revision, now.revision);
  const then = storedAt(storeOf(parts, definition), definition, namespace, revision).filter(
    (stored) =>
      selection.isEverything || selection.matches(parts.served.of(definition, stored).object),
  );
  return { revision, items: then.map((stored) => () => parts.served.of(definition, stored)) };
}

/** What is there now, with what has changed since put back. */
function storedAt(
  store: Store,
  definition: ResourceDefinition,
  namespace: string,
  revision: number,
): readonly StoredObject[] {
  const resource = resourceName(definition);
  const changed = new Map<string, StoredObject | undefined>();
  const note = ({ events }: CommittedBatch): void => {
    for (const { object, previous } of events) {
      const { key } = object;
      if (key.resource !== resource || (namespace !== '' && key.namespace !== namespace)) continue;
      const text = keyText(key);
      if (!changed.has(text)) changed.set(text, previous);
    }
  };
  try {
    store.watch(revision as Revision, note, resource).close();
  } catch (error) {
    if (error instanceof CompactedError) throw tooOldError(revision, error.oldestWatchable);
    throw error;
  }
  const present = namespace === '' ? store.list(resource) : store.list(resource, namespace);
  const kept = present.filter(({ key }) => !changed.has(keyText(key)));
  const then = [...changed.values()].filter((stored) => stored !== undefined);
  return [...kept, ...then].sort((left, right) => compareKeys(left.key, right.key));
}

function tooOldError(asked: number, oldest: number): StatusError {
  return new StatusError(
    'Expired',
    `The resourceVersion for the provided list is too old: ${asked} (${oldest}). ` +
      'List again without resourceVersion.',
  );
}

function candidates(
  parts: ServerParts,
  definition: ResourceDefinition,
  namespace: string,
  selection: Selection,
): readonly StoredObject[] {
  const store = storeOf(parts, definition);
  const isOneScope = namespace !== '' || !definition.namespaced;
  if (selection.onlyName !== undefined && isOneScope) {
    const only = store.get(keyOf(definition, namespace, selection.onlyName));
    return only === undefined ? [] : [only];
  }
  const resource = resourceName(definition);
  const all = namespace === '' ? store.list(resource) : store.list(resource, namespace);
  const { onlyName } = selection;
  // What cannot match need not be read.
  return onlyName === undefined ? all : all.filter(({ key }) => key.name === onlyName);
}
