/** RuntimeClass: a name for a runtime of nodes, where it is and what a pod in it takes. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, mapOf, quantity, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import { tolerationSchema } from '../core/pod-tolerations.ts';
import type { ResourceList, Toleration } from '../core/pod-types.ts';
import { quantitiesAsText } from '../core/resource-amounts.ts';

export interface RuntimeClass extends ApiObject {
  handler: string;
  overhead?: { podFixed?: ResourceList };
  scheduling?: { nodeSelector?: Record<string, string>; tolerations?: Toleration[] };
}

const tolerationsMax = 256;

export const runtimeClassDefinition: ResourceDefinition = {
  group: 'node.k8s.io',
  version: 'v1',
  kind: 'RuntimeClass',
  plural: 'runtimeclasses',
  singular: 'runtimeclass',
  shortNames: [],
  categories: [],
  namespaced: false,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema(
    'A name for a runtime of nodes. A pod that names it goes to a node that has the runtime, and runs in it.',
    {
      handler: text(
        'Name of the runtime as nodes know it: script or wasm. A node lists its own in its status. Cannot be changed.',
        { format: 'dns-label' },
      ),
      overhead: record('What a pod in this runtime takes beside its containers.', {
        podFixed: mapOf('The same for each pod.', quantity('Amount of the resource.')),
      }),
      scheduling: record('Which nodes have the runtime.', {
        nodeSelector: mapOf(
          'Labels of those nodes. They are added to the selector of the pod.',
          text('The wanted value.', { format: 'label-value' }),
          { 'x-kubernetes-map-type': 'atomic' },
        ),
        tolerations: atomicList('Added to the tolerations of the pod.', tolerationSchema, {
          maxItems: tolerationsMax,
        }),
      }),
    },
    ['handler'],
  ),
  columns: [
    column('Handler', 'string', 'Name of the runtime on the nodes.', (object) => {
      return (object as RuntimeClass).handler;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    quantitiesAsText((object as RuntimeClass).overhead?.podFixed);
  },
  validate(object, { previous }): readonly FieldError[] {
    if (previous === undefined) return [];
    return immutable(
      'handler',
      (previous as RuntimeClass).handler,
      (object as RuntimeClass).handler,
    );
  },
};
