/** The schema of volumes and of where containers see them. */
import {
  atomicList,
  flag,
  integer,
  keyedList,
  oneOf,
  quantity,
  record,
  text,
} from '../meta/build.ts';
import type { Schema } from '../schema.ts';
import { fieldReferenceSchema, resourceFieldReferenceSchema } from './pod-environment.ts';

const volumesMax = 64;
const mountsMax = 64;
const filesMax = 1024;
const sourcesMax = 64;
const pathLengthMax = 1024;
const modeMax = 0o777;

const defaultMode = integer('Permissions of the files, as a number (420 is 0644 in octal).', {
  minimum: 0,
  maximum: modeMax,
  default: 0o644,
});
const mode = integer('Permissions of this file, instead of those of all.', {
  minimum: 0,
  maximum: modeMax,
});
const optional = flag('True: without the object or a key the pod starts all the same.');
const objectName = text('Name of the object, in the namespace of the pod.', {
  format: 'dns-subdomain',
  minLength: 1,
});
const filePath = text('Path of the file in the volume, relative and without `..`.', {
  minLength: 1,
  maxLength: pathLengthMax,
});

const items = atomicList(
  'The keys to show and the files to show them as; every key as a file of its own name where none are listed.',
  record(
    'One key as one file.',
    { key: text('The key.', { minLength: 1, maxLength: 253 }), path: filePath, mode },
    ['key', 'path'],
  ),
  { maxItems: filesMax },
);

const downwardItems = atomicList(
  'The files.',
  record(
    'One file.',
    {
      path: filePath,
      fieldRef: fieldReferenceSchema,
      resourceFieldRef: resourceFieldReferenceSchema,
      mode,
    },
    ['path'],
  ),
  { maxItems: filesMax },
);

const projection: Schema = {
  ...record('One source of files.', {
    configMap: record('Keys of a ConfigMap.', { name: objectName, items, optional }, ['name']),
    secret: record('Keys of a Secret.', { name: objectName, items, optional }, ['name']),
    downwardAPI: record('Fields of the pod itself.', { items: downwardItems }),
    serviceAccountToken: record(
      "A token of the pod's ServiceAccount, which is renewed before it ends. With the node cut off it is good until its end.",
      {
        path: filePath,
        audience: text('Whom the token is for; the API itself where this is left out.', {
          maxLength: 512,
        }),
        expirationSeconds: {
          type: 'integer',
          format: 'int64',
          description: 'How long each token is good for: ten minutes at least.',
          minimum: 600,
          maximum: 2 ** 32,
          default: 3_600,
        },
      },
      ['path'],
    ),
  }),
  notYet: ['clusterTrustBundle', 'podCertificate'],
};

const volumeSchema: Schema = {
  ...record(
    'One volume, from exactly one source.',
    {
      name: text('Name of the volume, unique in the pod.', { format: 'dns-label', minLength: 1 }),
      emptyDir: record(
        'A folder that begins empty, is shared by the containers and lost with the pod.',
        {
          medium: oneOf('Empty: on the disk of the node. Memory: in its memory.', ['', 'Memory']),
          sizeLimit: quantity(
            'The most that it may hold. A pod that has more on disk is ended; memory takes no more.',
          ),
        },
      ),
      configMap: record(
        'Keys of a ConfigMap as files, which follow its changes.',
        { name: objectName, items, defaultMode, optional },
        ['name'],
      ),
      secret: record(
        'Keys of a Secret as files, which follow its changes.',
        {
          secretName: text('Name of the Secret, in the namespace of the pod.', {
            format: 'dns-subdomain',
            minLength: 1,
          }),
          items,
          defaultMode,
          optional,
        },
        ['secretName'],
      ),
      projected: record('Files of several sources in one folder.', {
        sources: atomicList('The sources.', projection, { maxItems: sourcesMax }),
        defaultMode,
      }),
      downwardAPI: record('Fields of the pod itself as files, which follow their changes.', {
        items: downwardItems,
        defaultMode,
      }),
      hostPath: record(
        'A file or folder of the node. Only paths that the node has been told to give out.',
        {
          path: text('Absolute path on the node.', { minLength: 1, maxLength: pathLengthMax }),
          type: oneOf(
            'What must be there; with OrCreate it is made where nothing is there. Empty: anything.',
            [
              '',
              'DirectoryOrCreate',
              'Directory',
              'FileOrCreate',
              'File',
              'Socket',
              'CharDevice',
              'BlockDevice',
            ],
            '',
          ),
        },
        ['path'],
      ),
      persistentVolumeClaim: record(
        'The data of a claim, which outlives the pod. The pod runs on the node that keeps it.',
        {
          claimName: text('Name of the PersistentVolumeClaim, in the namespace of the pod.', {
            format: 'dns-subdomain',
            minLength: 1,
          }),
          readOnly: flag('True: no container of the pod can change what is there.'),
        },
        ['claimName'],
      ),
    },
    ['name'],
  ),
  notYet: [
    'ephemeral',
    'csi',
    'image',
    'nfs',
    'iscsi',
    'fc',
    'cephfs',
    'rbd',
    'glusterfs',
    'gitRepo',
    'cinder',
    'flexVolume',
    'flocker',
    'quobyte',
    'scaleIO',
    'storageos',
    'vsphereVolume',
    'azureDisk',
    'azureFile',
    'awsElasticBlockStore',
    'gcePersistentDisk',
    'photonPersistentDisk',
    'portworxVolume',
  ],
};

export const volumesSchema = keyedList(
  'Folders and files that containers of the pod may see.',
  ['name'],
  volumeSchema,
  { maxItems: volumesMax, 'x-kubernetes-patch-strategy': 'merge,retainKeys' },
);

export const volumeMountsSchema = keyedList(
  'Where the container sees volumes of the pod.',
  ['mountPath'],
  {
    ...record(
      'One volume at one path.',
      {
        name: text('Name of the volume.', { minLength: 1 }),
        mountPath: text('Absolute path in the container.', {
          minLength: 1,
          maxLength: pathLengthMax,
        }),
        subPath: text(
          'What of the volume is shown, relative and without `..`. What is not there is made, in volumes that can be written.',
          { maxLength: pathLengthMax },
        ),
        readOnly: flag('True: the container cannot change what is there.'),
        mountPropagation: oneOf('Mounts of others are never seen.', ['None']),
      },
      ['name', 'mountPath'],
    ),
    notYet: ['subPathExpr', 'recursiveReadOnly'],
  },
  { maxItems: mountsMax },
);
