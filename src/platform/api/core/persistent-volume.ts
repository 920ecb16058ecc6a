/**
 * PersistentVolume: the folder of a node that holds the data of one claim. Made from
 * the claim when it is read: it begins, grows and ends with it.
 */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column, wideColumn } from '../meta/columns.ts';
import { objectSchema } from '../meta/metadata.ts';
import { nodeSelectorTermSchema } from './pod-affinity.ts';
import type { NodeSelectorTerm } from './pod-types.ts';
import {
  accessModesText,
  nodeOfClaim,
  type PersistentVolumeClaim,
} from './persistent-volume-claim.ts';
import {
  type AccessMode,
  accessModesSchema,
  storageAmounts,
  volumeModeSchema,
} from './persistent-volume-claim-spec.ts';

export type PersistentVolumeSpec = {
  accessModes: AccessMode[];
  capacity: { storage: string | number };
  claimRef: {
    apiVersion: string;
    kind: string;
    namespace: string;
    name: string;
    uid: string;
    resourceVersion: string;
  };
  local: { path: string };
  nodeAffinity: { required: { nodeSelectorTerms: NodeSelectorTerm[] } };
  persistentVolumeReclaimPolicy: 'Delete';
  storageClassName: string;
  volumeMode: string;
};

export interface PersistentVolume extends ApiObject {
  spec: PersistentVolumeSpec;
  status: { phase: 'Bound' };
}

const volumeOf = (object: ApiObject): PersistentVolume => object as PersistentVolume;

/** The volume of a claim; undefined where it has no node yet. */
export function volumeOfClaim(claim: PersistentVolumeClaim): PersistentVolume | undefined {
  const { metadata, spec } = claim;
  const nodeName = nodeOfClaim(claim);
  if (nodeName === undefined || spec.volumeName === undefined) return undefined;
  const { uid = '', namespace = '', name, resourceVersion = '', creationTimestamp } = metadata;
  const onNode: NodeSelectorTerm = {
    matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }],
  };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: spec.volumeName,
      uid,
      resourceVersion,
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      annotations: { 'pv.kubernetes.io/provisioned-by': 'selvage.dev/node-local' },
    },
    spec: {
      accessModes: spec.accessModes ?? [],
      capacity: { storage: spec.resources?.requests?.storage ?? '0' },
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace,
        name,
        uid,
        resourceVersion,
      },
      local: { path: `claims/${uid}` },
      nodeAffinity: { required: { nodeSelectorTerms: [onNode] } },
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: spec.storageClassName ?? '',
      volumeMode: spec.volumeMode ?? 'Filesystem',
    },
    status: { phase: 'Bound' },
  };
}

export const persistentVolumeDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  singular: 'persistentvolume',
  shortNames: ['pv'],
  categories: [],
  namespaced: false,
  verbs: ['get', 'list'],
  subresources: [],
  storage: 'synthesized',
  schema: objectSchema(
    'The folder of a node that holds the data of one claim. Made from the claim when it is read; the claim can be watched, this cannot.',
    {
      spec: record('What it is.', {
        accessModes: accessModesSchema,
        capacity: storageAmounts('The most that it may hold.'),
        claimRef: record('The claim whose data it holds.', {
          apiVersion: text('Group and version of the claim.'),
          kind: text('Always PersistentVolumeClaim.'),
          namespace: text('Namespace of the claim.'),
          name: text('Name of the claim.'),
          uid: text('Identity of the claim.'),
          resourceVersion: text('The version of the claim that this was made from.'),
        }),
        local: record('Where it is on the node.', {
          path: text("Below the state folder of the node's agent."),
        }),
        nodeAffinity: record('Where pods that use it run.', {
          required: record('The node that has it.', {
            nodeSelectorTerms: atomicList('One, that names it.', nodeSelectorTermSchema),
          }),
        }),
        persistentVolumeReclaimPolicy: oneOf('It goes with its claim.', ['Delete']),
        storageClassName: text('The class of its claim.'),
        volumeMode: volumeModeSchema,
      }),
      status: record('What became of it.', {
        phase: oneOf('It has a claim as long as it is there.', ['Bound']),
      }),
    },
  ),
  columns: [
    column('Capacity', 'string', 'The most that it may hold.', (object) => {
      return String(volumeOf(object).spec.capacity.storage);
    }),
    column('Access Modes', 'string', 'How it may be used.', (object) => {
      return accessModesText(volumeOf(object).spec.accessModes);
    }),
    column('Reclaim Policy', 'string', 'What becomes of it without its claim.', (object) => {
      return volumeOf(object).spec.persistentVolumeReclaimPolicy;
    }),
    column('Status', 'string', 'Whether it has a claim.', (object) => {
      return volumeOf(object).status.phase;
    }),
    column('Claim', 'string', 'The claim whose data it holds.', (object) => {
      const { namespace, name } = volumeOf(object).spec.claimRef;
      return `${namespace}/${name}`;
    }),
    column('StorageClass', 'string', 'The class of its claim.', (object) => {
      return volumeOf(object).spec.storageClassName;
    }),
    ageColumn,
    wideColumn('VolumeMode', 'string', 'Always Filesystem.', (object) => {
      return volumeOf(object).spec.volumeMode;
    }),
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
};
