/** PriorityClass: a name for how important pods are. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldForbidden } from '../field-errors.ts';
import type { ApiObject } from '../object.ts';
import { flag, integer, oneOf, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { PreemptionPolicy } from '../core/pod-types.ts';

export interface PriorityClass extends ApiObject {
  value: number;
  globalDefault?: boolean;
  description?: string;
  preemptionPolicy?: PreemptionPolicy;
}

/** Values above this are for what the fleet itself is made of. */
const userValueMax = 1_000_000_000;
const systemPrefix = 'system-';

/** Classes that every server has. */
export const systemPriorityClasses: readonly PriorityClass[] = [
  systemClass(
    'system-cluster-critical',
    2_000_000_000,
    'For pods that the fleet needs and that may move to another node.',
  ),
  systemClass('system-node-critical', 2_000_001_000, 'For pods that their node cannot do without.'),
];

function systemClass(name: string, value: number, description: string): PriorityClass {
  const apiVersion = 'scheduling.k8s.io/v1';
  return { apiVersion, kind: 'PriorityClass', metadata: { name }, value, description };
}

export const priorityClassDefinition: ResourceDefinition = {
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  singular: 'priorityclass',
  shortNames: ['pc'],
  categories: [],
  namespaced: false,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema(
    'A name for how important pods are: those of a higher value are placed first, and may take the place of others.',
    {
      value: integer('How important pods of this class are; more is more. Cannot be changed.'),
      globalDefault: flag('Whether pods that name no class are of this one. At most one is.'),
      description: text('For which pods the class is meant, for people.'),
      preemptionPolicy: oneOf(
        'Whether pods of less priority may be ended to make room. Cannot be changed.',
        ['PreemptLowerPriority', 'Never'],
        'PreemptLowerPriority',
      ),
    },
    ['value'],
  ),
  columns: [
    column('Value', 'integer', 'How important pods of this class are.', (object) => {
      return (object as PriorityClass).value;
    }),
    column(
      'Global-Default',
      'boolean',
      'Whether pods without a class are of this one.',
      (object) => {
        return (object as PriorityClass).globalDefault ?? false;
      },
    ),
    ageColumn,
    column('PreemptionPolicy', 'string', 'Whether others may be ended for it.', (object) => {
      return (object as PriorityClass).preemptionPolicy ?? 'PreemptLowerPriority';
    }),
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    (object as PriorityClass).preemptionPolicy ??= 'PreemptLowerPriority';
  },
  validate(object, { previous }): readonly FieldError[] {
    const priorityClass = object as PriorityClass;
    if (previous !== undefined) return changeErrors(previous as PriorityClass, priorityClass);
    const { metadata, value } = priorityClass;
    const system = systemPriorityClasses.find((one) => one.metadata.name === metadata.name);
    if (system !== undefined && system.value === value) return [];
    if (metadata.name.startsWith(systemPrefix)) {
      const why = `priority class names with '${systemPrefix}' prefix are reserved for system use only`;
      return [fieldForbidden('metadata.name', why)];
    }
    if (value <= userValueMax) return [];
    return [
      fieldForbidden(
        'value',
        `maximum allowed value of a user defined priority is ${userValueMax}`,
      ),
    ];
  },
};

function changeErrors(before: PriorityClass, after: PriorityClass): FieldError[] {
  const fixed = ['value', 'preemptionPolicy'] as const;
  return fixed.flatMap((field) =>
    before[field] === after[field]
      ? []
      : [fieldForbidden(field, 'may not be changed in an update.')],
  );
}
