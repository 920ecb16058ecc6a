/** What an object is given that no other may have: decided in the transaction that stores it. */
import { copyJson } from '#base/mod.ts';
import { type ApiObject, refuseInvalid, type ResourceDefinition } from '#platform/api/mod.ts';
import type { StoreView } from '#platform/store/mod.ts';
import type { ServerParts } from './dependencies.ts';
import { keyOf } from './reading.ts';

/** The object with what it is given; throws 422 where it asks for what is taken. */
export function settled<Object extends ApiObject>(
  parts: ServerParts,
  definition: ResourceDefinition,
  view: StoreView,
  object: Object,
  previous: ApiObject | undefined,
): Object {
  if (definition.settle === undefined) return object;
  // A transaction may be decided again, on a newer view.
  const copy = copyJson(object);
  const { resource } = keyOf(definition, object.metadata.namespace ?? '', object.metadata.name);
  const errors = definition.settle(copy, {
    previous,
    others: () => view.list(resource).map((stored) => parts.served.of(definition, stored).object),
    serviceNetwork: parts.serviceNetwork,
  });
  refuseInvalid(definition, object.metadata.name, errors);
  return copy;
}
