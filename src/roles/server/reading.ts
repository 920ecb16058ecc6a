/**
 * Reading objects of any kind: from the main store, from the events ring, or made
 * on the spot (Leases, Endpoints).
 *
 * Invariant: a list and its revision are of one view; nothing awaits in between.
 */
import { type ResourceDefinition, resourceName, StatusError } from '#platform/api/mod.ts';
import type { ObjectKey, StoredObject } from '#platform/store/mod.ts';
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
  if (definition.storage === 'synthesized') {
    const made = synthesizedSource(definition).get(parts, namespace, name);
    if (made === undefined) throw notFoundError(definition, name);
    return serve(made);
  }
  const stored = storeOf(parts, definition).get(keyOf(definition, namespace, name));
  if (stored === undefined) throw notFoundError(definition, name);
  return parts.served.of(definition, stored);
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
  if (definition.storage === 'synthesized') {
    const all = synthesizedSource(definition).list(parts, namespace);
    const made = all.filter((object) => selection.matches(object));
    return { revision: parts.store.revision, items: made.map((object) => () => serve(object)) };
  }
  const store = storeOf(parts, definition);
  const stored = candidates(parts, definition, namespace, selection);
  const selected = selection.isEverything
    ? stored
    : stored.filter((object) => selection.matches(parts.served.of(definition, object).object));
  return {
    revision: store.revision,
    items: selected.map((object) => () => parts.served.of(definition, object)),
  };
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
  return namespace === '' ? store.list(resource) : store.list(resource, namespace);
}
