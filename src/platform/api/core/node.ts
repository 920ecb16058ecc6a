/** Node: a machine of the fleet that runs pods. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { flag, instant, keyedList, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column, wideColumn } from '../meta/columns.ts';
import { conditionOf } from '../meta/condition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { duplicates } from '../meta/rules.ts';
import { isOwnedNodeLabel, nodeFacets } from './node-facets.ts';
import { nodeStatusSchema } from './node-status.ts';
import { isOwnedTaintKey } from './node-taints.ts';
import type { Node } from './node-types.ts';

const taintSchema = record(
  'A mark that keeps pods away that do not tolerate it.',
  {
    key: text('Name of the mark.', { format: 'qualified-name', minLength: 1 }),
    value: text('Value of the mark.', { format: 'label-value' }),
    effect: oneOf('What happens to pods that do not tolerate it.', [
      'NoSchedule',
      'PreferNoSchedule',
      'NoExecute',
    ]),
    timeAdded: instant('When the mark was set.'),
  },
  ['key', 'effect'],
);

export const nodeDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  categories: [],
  namespaced: false,
  verbs: allVerbs,
  // The status is the agent's report with the hub's verdict over it; nobody writes it here.
  subresources: [],
  storage: 'main',
  schema: objectSchema('A machine of the fleet that runs pods.', {
    spec: record('How the node is to be used.', {
      unschedulable: flag('True keeps new pods away; those that run go on.'),
      taints: keyedList(
        'Marks that keep pods away that do not tolerate them.',
        ['key', 'effect'],
        taintSchema,
      ),
      podCIDR: text('The addresses for pods on this node. The hub sets it.'),
    }),
    status: nodeStatusSchema,
  }),
  columns: [
    column('Status', 'string', 'Whether the node is in touch and takes pods.', nodeStatusWord),
    column(
      'Region',
      'string',
      'The region that the node is in.',
      label('topology.kubernetes.io/region'),
    ),
    column('Site', 'string', 'The site that the node is at.', label('selvage.dev/site')),
    ageColumn,
    column('Version', 'string', 'Version of the agent on the node.', (object) => {
      return (object as Node).status?.nodeInfo?.kubeletVersion ?? '<unknown>';
    }),
    wideColumn('Arch', 'string', 'Processor architecture.', label('kubernetes.io/arch')),
    wideColumn('Runtimes', 'string', 'The runtimes that the node offers.', (object) => {
      return (object as Node).status?.runtimes?.join(',') || '<none>';
    }),
    wideColumn('Internal-IP', 'string', 'Address of the node.', (object) => {
      const addresses = (object as Node).status?.addresses ?? [];
      return addresses.find(({ type }) => type === 'InternalIP')?.address ?? '<none>';
    }),
  ],
  selectableFields: {
    'spec.unschedulable': (object) => String((object as Node).spec.unschedulable ?? false),
  },
  facets: nodeFacets,
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const node = object as Node;
    node.spec ??= {};
    // False and "not set" mean the same; one form keeps them from looking like a change.
    if (node.spec.unschedulable === false) delete node.spec.unschedulable;
  },
  validate: (object, { previous }) => [
    ...validateTaints(object as Node, previous as Node | undefined),
    ...validateOwnedLabels(object, previous),
    ...validatePodCidr(object as Node, previous as Node | undefined),
  ],
};

function nodeStatusWord(object: ApiObject): string {
  const node = object as Node;
  const ready = conditionOf(node.status?.conditions, 'Ready')?.status;
  // Lost is not ready as well; Unknown is a node of which nothing has been said yet.
  const word = ready === undefined ? 'Unknown' : ready === 'True' ? 'Ready' : 'NotReady';
  return node.spec.unschedulable ? `${word},SchedulingDisabled` : word;
}

function label(key: string): (object: ApiObject) => string {
  return (object) => object.metadata.labels?.[key] ?? '<none>';
}

/** A taint of the hub that was there is the echo of a read and is dropped; a new one is refused. */
function validateTaints(node: Node, previous: Node | undefined): FieldError[] {
  const taints = node.spec.taints ?? [];
  const nameOf = ({ key, effect }: (typeof taints)[number]): string => `${key}:${effect}`;
  const before = new Set((previous?.spec.taints ?? []).map(nameOf));
  const errors = duplicates(taints.map(nameOf), (position) => `spec.taints[${position}]`);
  for (const [position, taint] of taints.entries()) {
    if (!isOwnedTaintKey(taint.key) || before.has(nameOf(taint))) continue;
    errors.push({
      field: `spec.taints[${position}].key`,
      reason: 'FieldValueForbidden',
      message: `the hub alone sets ${taint.key}, from what it hears of the node; choose a key of your own`,
    });
  }
  return errors;
}

/** An owned label that is as it was is the echo of a read; another value is an attempt. */
function validateOwnedLabels(object: ApiObject, previous: ApiObject | undefined): FieldError[] {
  return Object.entries(object.metadata.labels ?? {})
    .filter(([key, value]) => isOwnedNodeLabel(key) && previous?.metadata.labels?.[key] !== value)
    .map(([key]) => ({
      field: `metadata.labels[${key}]`,
      reason: 'FieldValueForbidden' as const,
      message: 'this label is set by the node or its hub; choose a key of your own',
    }));
}

function validatePodCidr(node: Node, previous: Node | undefined): FieldError[] {
  const { podCIDR } = node.spec;
  if (podCIDR === undefined || podCIDR === previous?.spec.podCIDR) return [];
  return [
    { field: 'spec.podCIDR', reason: 'FieldValueForbidden', message: 'the hub sets this field' },
  ];
}
