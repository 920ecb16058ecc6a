/**
 * What a CustomResourceDefinition's status is to be: whether its names are free,
 * whether its kind is served, in which versions objects may be stored.
 *
 * Invariants:
 * 1. Of two that want one name in a group, the one that has it keeps it.
 * 2. What was established stays so until it is deleted.
 * 3. A version that was once the storage version stays among the stored ones.
 */
import {
  type Condition,
  conditionOf,
  type CustomResourceDefinition,
  type CustomResourceNames,
  isConditionTrue,
} from '#platform/api/mod.ts';

type Status = NonNullable<CustomResourceDefinition['status']>;

export function planStatus(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
  nowTime: string,
): Status {
  const { spec, status = {} } = definition;
  const conflict = nameConflict(definition, others);
  const stored = spec.versions.find(({ storage }) => storage)?.name;
  const storedVersions = new Set(status.storedVersions);
  if (stored !== undefined) storedVersions.add(stored);
  const wasEstablished = isConditionTrue(definition, 'Established');
  const accepted: Condition =
    conflict === undefined
      ? condition('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found')
      : condition('NamesAccepted', 'False', conflict.reason, conflict.message);
  const established: Condition =
    wasEstablished || conflict === undefined
      ? condition(
          'Established',
          'True',
          'InitialNamesAccepted',
          'the initial names have been accepted',
        )
      : condition('Established', 'False', 'NotAccepted', 'not all names are accepted');
  const kept = (status.conditions ?? []).filter(
    ({ type }) => type !== 'NamesAccepted' && type !== 'Established',
  );
  return {
    ...status,
    conditions: [...since(status, [accepted, established], nowTime), ...kept],
    acceptedNames: conflict === undefined ? { ...spec.names } : acceptedBefore(status),
    storedVersions: [...storedVersions],
  };
}

/** With the condition that tells how its deletion goes. */
export function planLeaving(
  { status = {} }: CustomResourceDefinition,
  left: number,
  nowTime: string,
): Status {
  const terminating =
    left > 0
      ? condition(
          'Terminating',
          'True',
          'InstanceDeletionInProgress',
          'the objects of the kind are being deleted',
        )
      : condition('Terminating', 'False', 'InstanceDeletionCompleted', 'all objects are gone');
  const kept = (status.conditions ?? []).filter(({ type }) => type !== 'Terminating');
  return { ...status, conditions: [...kept, ...since(status, [terminating], nowTime)] };
}

function condition(
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
): Condition {
  return { type, status, reason, message };
}

/** The time of the last change is that of the condition before, where it was the same. */
function since(
  { conditions }: Status,
  next: readonly Condition[],
  nowTime: string,
): readonly Condition[] {
  return next.map((one) => {
    const before = conditionOf(conditions, one.type);
    const isSame = before?.status === one.status && before.lastTransitionTime !== undefined;
    return { ...one, lastTransitionTime: isSame ? before.lastTransitionTime : nowTime };
  }) as readonly Condition[];
}

function acceptedBefore({ acceptedNames }: Status): CustomResourceNames {
  return acceptedNames ?? { plural: '', kind: '' };
}

function nameConflict(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
): { readonly reason: string; readonly message: string } | undefined {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const other of others) {
    const names = other.status?.acceptedNames;
    const isOther = other.metadata.name !== definition.metadata.name;
    if (!isOther || names === undefined || other.spec.group !== definition.spec.group) continue;
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])]) {
      if (name !== undefined && name !== '') resources.add(name);
    }
    for (const name of [names.kind, names.listKind]) {
      if (name !== undefined && name !== '') kinds.add(name);
    }
  }
  const { plural, singular = '', shortNames = [], kind, listKind = '' } = definition.spec.names;
  const wanted: readonly [reason: string, taken: ReadonlySet<string>, name: string][] = [
    ['PluralConflict', resources, plural],
    ['SingularConflict', resources, singular],
    ...shortNames.map((name) => ['ShortNamesConflict', resources, name] as const),
    ['KindConflict', kinds, kind],
    ['ListKindConflict', kinds, listKind],
  ].map(([reason, taken, name]) => [
    reason as string,
    taken as ReadonlySet<string>,
    name as string,
  ]);
  const found = wanted.find(([, taken, name]) => taken.has(name));
  if (found === undefined) return undefined;
  return { reason: found[0], message: `${JSON.stringify(found[2])} is already in use` };
}
