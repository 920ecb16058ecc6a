/**
 * PersistentVolumeClaim: data of a workload that outlives its pods, kept on one node.
 *
 * Invariants:
 * 1. Users write the intent; the hub gives the claim its node, once and for good, in
 *    the transaction that places its first pod; the node says when the data is gone.
 * 2. `status` follows from those and is never stored.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { FacetLayout, FieldError, ResourceDefinition } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { oneOf, record } from '../meta/build.ts';
import { ageColumn, column, wideColumn } from '../meta/columns.ts';
import { type Condition, conditionsSchema } from '../meta/condition.ts';
import { intentMetadata } from '../meta/intent-metadata.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { fieldForbidden } from '../field-errors.ts';
import {
  type AccessMode,
  accessModesSchema,
  applyClaimSpecDefaults,
  claimSpecSchema,
  type PersistentVolumeClaimSpec,
  storageAmounts,
  validateClaimChange,
  validateClaimSpec,
} from './persistent-volume-claim-spec.ts';

/** Holds a claim that is being deleted until its pods and its data are gone. */
export const claimFinalizer = 'kubernetes.io/pvc-protection';
/** What its node says when a claim that is being deleted has no data any more. */
export const dataReleasedCondition = 'DataReleased';
const selectedNodeAnnotation = 'volume.kubernetes.io/selected-node';

export type PersistentVolumeClaimStatus = {
  phase?: 'Pending' | 'Bound' | 'Lost';
  accessModes?: AccessMode[];
  capacity?: { storage?: string | number };
  conditions?: Condition[];
};

export interface PersistentVolumeClaim extends ApiObject {
  spec: PersistentVolumeClaimSpec;
  status?: PersistentVolumeClaimStatus;
}

/** The node that keeps the data. Written by the hub. */
export type ClaimAssignment = { nodeName: string };

/** What the node says. `isReleased`: the claim is being deleted and its data is gone. */
export type ClaimReport = { status: JsonObject; isReleased?: true };

export const claimStatusSchema = record('What became of it.', {
  phase: oneOf('Bound: it has a node. Pending: its first pod has not been placed yet.', [
    'Pending',
    'Bound',
    'Lost',
  ]),
  accessModes: accessModesSchema,
  capacity: storageAmounts('The most that the volume may hold.'),
  conditions: conditionsSchema('DataReleased: it is being deleted, and its data is gone.'),
});

const claimFacets: FacetLayout = {
  split(object) {
    const metadata = intentMetadata(object);
    const { [selectedNodeAnnotation]: _node, ...annotations } = object.metadata.annotations ?? {};
    if (Object.keys(annotations).length > 0) metadata['annotations'] = annotations;
    else delete metadata['annotations'];
    const { volumeName: _volume, ...spec } = object.spec ?? {};
    return { intent: { apiVersion: object.apiVersion, kind: object.kind, metadata, spec } };
  },

  fold({ intent, assignment, report }) {
    const stored = intent as unknown as PersistentVolumeClaim;
    const { nodeName } = (assignment ?? {}) as Partial<ClaimAssignment>;
    if (nodeName === undefined) return { ...stored, status: { phase: 'Pending' } };
    const { metadata, spec } = stored;
    const storage = spec.resources?.requests?.storage;
    const status: PersistentVolumeClaimStatus = {
      phase: 'Bound',
      accessModes: spec.accessModes ?? [],
      ...(storage === undefined ? {} : { capacity: { storage } }),
      ...((report as ClaimReport | undefined)?.isReleased === true
        ? { conditions: [{ type: dataReleasedCondition, status: 'True' }] }
        : {}),
    };
    const annotations = { ...metadata.annotations, [selectedNodeAnnotation]: nodeName };
    return {
      ...stored,
      metadata: { ...metadata, annotations },
      spec: { ...spec, volumeName: volumeNameOf(metadata.uid ?? '') },
      status,
    };
  },
};

/** The volume of the claim with that uid. */
export function volumeNameOf(claimUid: string): string {
  return `pvc-${claimUid}`;
}

/** The node that keeps the claim's data, as the served object tells it. */
export function nodeOfClaim({ metadata }: ApiObject): string | undefined {
  return metadata.annotations?.[selectedNodeAnnotation];
}

/** As `kubectl get` shows them: RWO. */
export function accessModesText(modes: readonly AccessMode[] | undefined): string {
  const short = { ReadWriteOnce: 'RWO', ReadWriteOncePod: 'RWOP', ReadOnlyMany: 'ROX' };
  return (modes ?? []).map((mode) => ({ ...short, ReadWriteMany: 'RWX' })[mode]).join(',');
}

const claimOf = (object: ApiObject): PersistentVolumeClaim => object as PersistentVolumeClaim;

export const persistentVolumeClaimDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  singular: 'persistentvolumeclaim',
  shortNames: ['pvc'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  intentBytesMax: 256 * 1024,
  schema: objectSchema(
    'Data of a workload that outlives its pods. It is kept on the node where its first pod is placed, and its pods run there.',
    {
      spec: claimSpecSchema,
      status: claimStatusSchema,
    },
    ['spec'],
  ),
  columns: [
    column('Status', 'string', 'Whether it has a node.', (object) => {
      const isLeaving = object.metadata.deletionTimestamp !== undefined;
      return isLeaving ? 'Terminating' : (claimOf(object).status?.phase ?? 'Pending');
    }),
    column('Volume', 'string', 'The volume that was made for it.', (object) => {
      return claimOf(object).spec.volumeName ?? '';
    }),
    column('Capacity', 'string', 'The most that the volume may hold.', (object) => {
      return String(claimOf(object).status?.capacity?.storage ?? '');
    }),
    column('Access Modes', 'string', 'How it may be used.', (object) => {
      return accessModesText(claimOf(object).status?.accessModes);
    }),
    column('StorageClass', 'string', 'The class that the volume is of.', (object) => {
      return claimOf(object).spec.storageClassName ?? '';
    }),
    ageColumn,
    wideColumn('VolumeMode', 'string', 'Always Filesystem.', (object) => {
      return claimOf(object).spec.volumeMode ?? 'Filesystem';
    }),
    wideColumn('Node', 'string', 'The node that keeps the data.', (object) => {
      return nodeOfClaim(object) ?? '<none>';
    }),
  ],
  selectableFields: {},
  facets: claimFacets,
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    applyClaimSpecDefaults(claimOf(object).spec);
  },
  settle(object, { previous }) {
    // Put once: whoever takes it away later means it.
    const { finalizers = [] } = object.metadata;
    if (previous === undefined && !finalizers.includes(claimFinalizer)) {
      object.metadata.finalizers = [...finalizers, claimFinalizer];
    }
    return [];
  },
  validate(object, { previous }): readonly FieldError[] {
    const { spec } = claimOf(object);
    const errors = validateClaimSpec(spec, 'spec');
    if (previous !== undefined) {
      return [...errors, ...validateClaimChange(claimOf(previous).spec, spec)];
    }
    if (isJsonObject(object.spec) && spec.volumeName !== undefined) {
      const why = 'volumes are made for claims, none is there before: leave it out';
      errors.push(fieldForbidden('spec.volumeName', why));
    }
    return errors;
  },
};
