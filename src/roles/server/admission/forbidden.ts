/** The refusal of a write that is well formed, in the words of Kubernetes. */
import { type ResourceDefinition, resourceName, StatusError } from '#platform/api/mod.ts';

/** `pods "web" is forbidden: exceeded quota: …` */
export function forbiddenError(
  definition: ResourceDefinition,
  name: string,
  why: string,
): StatusError {
  return new StatusError(
    'Forbidden',
    `${resourceName(definition)} ${JSON.stringify(name)} is forbidden: ${why}`,
    { kind: definition.plural, group: definition.group, name },
  );
}
