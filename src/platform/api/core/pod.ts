/** Pod: containers that run together on one node. */
import { copyJson, type JsonObject } from '#base/mod.ts';
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { applySchemaDefaults, pruneUnknownFields } from '../schema-fields.ts';
import { validateOnCut } from './on-cut.ts';
import { podColumns, podSelectableFields } from './pod-columns.ts';
import { applyPodSpecDefaults } from './pod-defaults.ts';
import { podFacets } from './pod-facets.ts';
import { podSecurityWarnings } from './pod-security.ts';
import { podSpecSchema } from './pod-spec.ts';
import { podStatusSchema } from './pod-status.ts';
import type { Pod, PodSpec } from './pod-types.ts';
import { validatePodSpec, validatePodSpecChange } from './pod-validation.ts';

/** A pod travels whole to its node, in one message of at most 1 MiB. */
const podIntentBytesMax = 512 * 1024;

export const podDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['log', 'exec', 'attach', 'portforward', 'status', 'eviction'],
  storage: 'main',
  intentBytesMax: podIntentBytesMax,
  schema: objectSchema(
    'Containers that run together on one node and share its address for them.',
    { spec: podSpecSchema, status: podStatusSchema },
    ['spec'],
  ),
  columns: podColumns,
  selectableFields: podSelectableFields,
  facets: podFacets,
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    applyPodSpecDefaults((object as Pod).spec);
  },
  warnings: (object) => podSecurityWarnings((object as Pod).spec, 'spec'),
  validate(object, { previous }): readonly FieldError[] {
    const pod = object as Pod;
    return [
      ...validatePodSpec(pod.spec, 'spec'),
      ...validateOnCut(pod.metadata.annotations, 'metadata.annotations'),
      ...(previous === undefined ? [] : specChangeErrors((previous as Pod).spec, pod.spec)),
    ];
  },
};

/**
 * A pod may be stored from a time when the server did not complete what it put into it
 * itself: what every write makes of that is no change that somebody asked for.
 */
function specChangeErrors(before: PodSpec, after: PodSpec): readonly FieldError[] {
  const errors = validatePodSpecChange(before, after);
  return errors.length === 0 ? errors : validatePodSpecChange(completedSpec(before), after);
}

function completedSpec(stored: PodSpec): PodSpec {
  const copy = copyJson(stored as unknown as JsonObject) as unknown as PodSpec;
  const spec = applySchemaDefaults(podSpecSchema, pruneUnknownFields(podSpecSchema, copy));
  applyPodSpecDefaults(spec);
  return spec;
}
