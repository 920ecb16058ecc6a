/**
 * Serves the kinds that CustomResourceDefinitions declare, for as long as they do.
 *
 * Invariants:
 * 1. What is served follows the store: it is changed before the write that changed a
 *    definition is answered, and is there before the first request is.
 * 2. A definition that cannot be served, as one stored by another version of the program,
 *    takes nothing away from the others.
 */
import { errorText } from '#base/mod.ts';
import {
  type CustomResourceDefinition,
  declaredDefinitionsOf,
  foldObject,
  isConditionTrue,
  type ResourceDefinition,
  resourceName,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import type { StoredObject, StoreView } from '#platform/store/mod.ts';
import type { ServerParts } from './dependencies.ts';

const definitionsResource = resourceName(resources.customResourceDefinitions);

/** Until the server closes. */
export function followDeclaredKinds(
  parts: Pick<ServerParts, 'store' | 'registry' | 'logger' | 'onClosing'>,
): void {
  const { store, registry, logger } = parts;
  const ofDefinitions = registry.byStoreResource(definitionsResource);
  if (ofDefinitions === undefined) return;
  const served = new Map<string, string>();

  function follow(stored: StoredObject, isGone: boolean, of: ResourceDefinition): void {
    const { name } = stored.key;
    if (isGone) {
      if (served.delete(name)) registry.replaceDeclared(name, []);
      return;
    }
    let signature = '';
    try {
      const definition = foldObject(of, stored) as CustomResourceDefinition;
      signature = signatureOf(definition);
      if (served.get(name) === signature) return;
      registry.replaceDeclared(name, declaredDefinitionsOf(definition));
    } catch (error) {
      logger.log('error', 'a kind cannot be served', { definition: name, error: errorText(error) });
      registry.replaceDeclared(name, []);
    }
    served.set(name, signature);
  }

  for (const stored of store.list(definitionsResource)) follow(stored, false, ofDefinitions);
  const watch = store.watch(
    store.head().sequence,
    ({ events }) => {
      for (const { type, object } of events) {
        if (object.key.resource !== definitionsResource) continue;
        follow(object, type === 'delete', ofDefinitions);
      }
    },
    definitionsResource,
  );
  parts.onClosing(() => watch.close());
}

/** Equal where the same is served. */
function signatureOf(definition: CustomResourceDefinition): string {
  const { uid, generation, deletionTimestamp } = definition.metadata;
  return JSON.stringify([
    ...[uid, generation, deletionTimestamp !== undefined],
    ...[isConditionTrue(definition, 'Established'), definition.status?.acceptedNames],
  ]);
}

/** Throws 405 where the kind is on its way out: its objects are being deleted. */
export function requireOpenKind(definition: ResourceDefinition, view: StoreView): void {
  const { declared } = definition;
  if (declared === undefined) return;
  const by = view.get({ resource: definitionsResource, namespace: '', name: declared.by });
  if (by !== undefined && !declared.isLeaving) return;
  throw new StatusError(
    'MethodNotAllowed',
    `create not allowed while custom resource definition is terminating: ${declared.by}`,
    { kind: definition.plural, group: definition.group },
  );
}
