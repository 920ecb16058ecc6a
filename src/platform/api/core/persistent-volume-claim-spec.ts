/**
 * What a claim asks for: its schema, defaults and rules, the same in a claim of its own
 * and in the template of a StatefulSet. Every volume of this fleet is a folder of one
 * node, so what only shared storage can do is refused by name.
 */
import type { FieldError } from '../definition.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '../field-errors.ts';
import { atomicList, oneOf, quantity, record, text } from '../meta/build.ts';
import { milliUnitsOf, tryParseQuantity } from '../quantity.ts';
import type { Schema } from '../schema.ts';

export type AccessMode = 'ReadWriteOnce' | 'ReadWriteOncePod' | 'ReadOnlyMany' | 'ReadWriteMany';

export type PersistentVolumeClaimSpec = {
  accessModes?: AccessMode[];
  resources?: { requests?: { storage?: string | number }; limits?: { storage?: string | number } };
  storageClassName?: string;
  volumeMode?: string;
  /** Set by the hub with the node. */
  volumeName?: string;
};

/** The class that is always there. */
export const nodeLocalClassName = 'node-local';

export const accessModesSchema: Schema = atomicList(
  'How it may be used. ReadWriteOnce: by pods of one node. ReadWriteOncePod: by one pod.',
  oneOf('One way to use it.', [
    'ReadWriteOnce',
    'ReadWriteOncePod',
    'ReadOnlyMany',
    'ReadWriteMany',
  ]),
  { maxItems: 4 },
);

export const storageAmounts = (description: string): Schema =>
  record(description, { storage: quantity('Bytes, with a suffix such as `Gi`.') });

export const volumeModeSchema: Schema = oneOf('A file system; devices are not given out.', [
  'Filesystem',
]);

export const claimSpecSchema: Schema = {
  ...record('What is asked for.', {
    accessModes: accessModesSchema,
    resources: record('How much is asked for.', {
      requests: storageAmounts('The most that the volume may hold.'),
      limits: storageAmounts('Accepted where it is not below what is requested.'),
    }),
    storageClassName: text('The StorageClass that the volume is of. When left out: `node-local`.', {
      format: 'dns-subdomain',
    }),
    volumeMode: volumeModeSchema,
    volumeName: text('The volume that was made for the claim. Set by the server.'),
  }),
  notYet: ['selector', 'dataSource', 'dataSourceRef', 'volumeAttributesClassName'],
};

/** In place and idempotent. Amounts may be given as plain numbers; they are served as text. */
export function applyClaimSpecDefaults(spec: PersistentVolumeClaimSpec): void {
  spec.storageClassName ??= nodeLocalClassName;
  spec.volumeMode ??= 'Filesystem';
  for (const amounts of [spec.resources?.requests, spec.resources?.limits]) {
    if (amounts?.storage !== undefined) amounts.storage = String(amounts.storage);
  }
}

/** Bytes of the request; undefined where it has none that can be read. */
export function claimBytesOf({ resources }: PersistentVolumeClaimSpec): number | undefined {
  const amount = resources?.requests?.storage;
  const quantityOf = amount === undefined ? undefined : tryParseQuantity(amount);
  return quantityOf === undefined ? undefined : Math.ceil(milliUnitsOf(quantityOf) / 1_000);
}

export function validateClaimSpec(spec: PersistentVolumeClaimSpec, field: string): FieldError[] {
  const errors = validateAccessModes(spec.accessModes ?? [], `${field}.accessModes`);
  const bytes = claimBytesOf(spec);
  const request = `${field}.resources.requests.storage`;
  if (bytes === undefined) {
    errors.push(fieldRequired(request, 'say how much the volume may hold (such as 1Gi)'));
  } else if (bytes <= 0) {
    const given = spec.resources?.requests?.storage;
    errors.push(fieldInvalid(request, given, 'must be greater than zero'));
  }
  if (spec.storageClassName === '') {
    const why =
      'an empty class asks for a volume that somebody made by hand, and there are none: leave it out or name a StorageClass';
    errors.push(fieldInvalid(`${field}.storageClassName`, '', why));
  }
  return errors;
}

function validateAccessModes(modes: readonly AccessMode[], field: string): FieldError[] {
  if (modes.length === 0) {
    return [fieldRequired(field, 'at least 1 access mode is required (such as ReadWriteOnce)')];
  }
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    return [fieldForbidden(field, 'may not use ReadWriteOncePod with other access modes')];
  }
  return modes.flatMap((mode, position) =>
    mode === 'ReadWriteMany' || mode === 'ReadOnlyMany'
      ? [fieldNotSupported(`${field}[${position}]`, mode, ['ReadWriteOnce', 'ReadWriteOncePod'])]
      : [],
  );
}

/** A claim grows; all else of it stays as it was. */
export function validateClaimChange(
  before: PersistentVolumeClaimSpec,
  after: PersistentVolumeClaimSpec,
): FieldError[] {
  const errors: FieldError[] = [];
  const same = (spec: PersistentVolumeClaimSpec): string => {
    const { accessModes, storageClassName, volumeMode, volumeName } = spec;
    return JSON.stringify([accessModes, storageClassName, volumeMode, volumeName]);
  };
  if (same(before) !== same(after)) {
    const why = 'spec is immutable after creation except resources.requests';
    errors.push(fieldForbidden('spec', why));
  }
  if ((claimBytesOf(after) ?? 0) < (claimBytesOf(before) ?? 0)) {
    const field = 'spec.resources.requests.storage';
    errors.push(fieldForbidden(field, 'field can not be less than previous value'));
  }
  return errors;
}
