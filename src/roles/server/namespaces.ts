/** What writes into a namespace require of it. */
import { type ResourceDefinition, resourceName, StatusError } from '#platform/api/mod.ts';
import type { StoreView } from '#platform/store/mod.ts';
import { requireOpenKind } from './declared-kinds.ts';
import type { ServerParts } from './dependencies.ts';

/**
 * Throws 404 where the namespace is not there, 403 where it is on its way out, 405 where
 * the kind itself is.
 */
export function requireOpenNamespace(
  parts: ServerParts,
  definition: ResourceDefinition,
  view: StoreView,
  namespace: string,
  name: string,
): void {
  requireOpenKind(definition, view);
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
