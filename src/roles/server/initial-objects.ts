/** The objects that everything counts on: made where they are missing when the server starts. */
import type { Uid } from '#base/mod.ts';
import {
  type ApiObject,
  nodeLeaseNamespace,
  nodeLocalClass,
  prepareForCreate,
  resourceName,
  systemPriorityClasses,
} from '#platform/api/mod.ts';
import type { ServerParts } from './dependencies.ts';
import { draftCreate } from './writing.ts';

const initialNamespaces = ['default', 'kube-system', nodeLeaseNamespace].map((name): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name },
}));

/** None of them is in a namespace. */
const initialObjects: readonly ApiObject[] = [
  ...initialNamespaces,
  nodeLocalClass,
  ...systemPriorityClasses,
];

export async function createInitialObjects(parts: ServerParts): Promise<void> {
  const drafts = initialObjects.flatMap((initial) => {
    const definition = parts.registry.byApiVersionKind(initial.apiVersion, initial.kind);
    if (definition === undefined) return [];
    const uid = parts.random.uuid();
    const given = { uid, nowMs: parts.clock.wallMs(), namespace: '', generatedSuffix: '' };
    const object = prepareForCreate(definition, structuredClone(initial), given);
    definition.applyDefaults?.(object);
    const { name } = object.metadata;
    const key = { resource: resourceName(definition), namespace: '', name };
    return [{ key, changes: draftCreate(definition, key, uid as Uid, object).changes }];
  });
  await parts.store.transact((view) => ({
    changes: drafts.flatMap(({ key, changes }) => (view.get(key) === undefined ? changes : [])),
    result: undefined,
  }));
}
