/** What writes into a namespace require of it, and the namespaces that are always there. */
import type { Uid } from '#base/mod.ts';
import {
  type ApiObject,
  nodeLeaseNamespace,
  prepareForCreate,
  type ResourceDefinition,
  resourceName,
  StatusError,
} from '#platform/api/mod.ts';
import type { StoreView } from '#platform/store/mod.ts';
import type { ServerParts } from './dependencies.ts';
import { draftCreate } from './writing.ts';

const initialNamespaces = ['default', 'kube-system', nodeLeaseNamespace];

/** Throws 404 where the namespace is not there, 403 where it is on its way out. */
export function requireOpenNamespace(
  parts: ServerParts,
  definition: ResourceDefinition,
  view: StoreView,
  namespace: string,
  name: string,
): void {
  if (!definition.namespaced) return;
  const stored = view.get({ resource: 'namespaces', namespace: '', name: namespace });
  if (stored === undefined) {
    throw new StatusError('NotFound', `namespaces ${JSON.stringify(namespace)} not found`, {
      kind: 'namespaces',
      name: namespace,
    });
  }
  const namespaces = parts.registry.byResource('', 'v1', 'namespaces');
  if (namespaces === undefined) return;
  const { object } = parts.served.of(namespaces, stored);
  if (object.metadata.deletionTimestamp === undefined) return;
  throw new StatusError(
    'Forbidden',
    `${resourceName(definition)} ${JSON.stringify(name)} is forbidden: unable to create new content ` +
      `in namespace ${namespace} because it is being terminated`,
    {
      kind: definition.plural,
      group: definition.group,
      name,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    },
  );
}

/** Makes the namespaces that everything counts on, where they are missing. */
export async function createInitialNamespaces(parts: ServerParts): Promise<void> {
  const definition = parts.registry.byResource('', 'v1', 'namespaces');
  if (definition === undefined) return;
  const drafts = initialNamespaces.map((name) => {
    const uid = parts.random.uuid();
    const object = prepareForCreate(
      definition,
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } satisfies ApiObject,
      { uid, nowMs: parts.clock.wallMs(), namespace: '', generatedSuffix: '' },
    );
    definition.applyDefaults?.(object);
    const key = { resource: resourceName(definition), namespace: '', name };
    return { key, changes: draftCreate(definition, key, uid as Uid, object).changes };
  });
  await parts.store.transact((view) => ({
    changes: drafts.flatMap(({ key, changes }) => (view.get(key) === undefined ? changes : [])),
    result: undefined,
  }));
}
