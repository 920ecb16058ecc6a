/** StorageClass: a name for a kind of volume. Of the one kind that there is: a folder of a node. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldNotSupported } from '../field-errors.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, flag, mapOf, oneOf, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import { nodeLocalClassName } from '../core/persistent-volume-claim-spec.ts';

export interface StorageClass extends ApiObject {
  provisioner: string;
  parameters?: Record<string, string>;
  reclaimPolicy?: string;
  volumeBindingMode?: string;
  allowVolumeExpansion?: boolean;
}

const nodeLocalProvisioner = 'selvage.dev/node-local';
const defaultClassAnnotation = 'storageclass.kubernetes.io/is-default-class';

/** The class that is always there, and that claims are of which name none. */
export const nodeLocalClass: StorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: nodeLocalClassName, annotations: { [defaultClassAnnotation]: 'true' } },
  provisioner: nodeLocalProvisioner,
};

const classOf = (object: ApiObject): StorageClass => object as StorageClass;

export const storageClassDefinition: ResourceDefinition = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  singular: 'storageclass',
  shortNames: ['sc'],
  categories: [],
  namespaced: false,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema(
    'A name for a kind of volume. Every volume of this fleet is a folder of the node where its first pod is placed.',
    {
      provisioner: text('Who makes the volumes: always `selvage.dev/node-local`.', {
        minLength: 1,
      }),
      parameters: mapOf('None are known.', text('A value.'), { maxProperties: 0 }),
      reclaimPolicy: oneOf('The data goes with its claim.', ['Delete']),
      volumeBindingMode: oneOf(
        'WaitForFirstConsumer: the volume is where the first pod that uses it is placed.',
        ['WaitForFirstConsumer'],
      ),
      allowVolumeExpansion: flag('Always true: claims may ask for more later.'),
      mountOptions: atomicList('None are known.', text('An option.'), { maxItems: 0 }),
    },
    ['provisioner'],
  ),
  columns: [
    column('Name', 'string', 'Name of the class.', ({ metadata }) => {
      const isDefault = metadata.annotations?.[defaultClassAnnotation] === 'true';
      return isDefault ? `${metadata.name} (default)` : metadata.name;
    }),
    column('Provisioner', 'string', 'Who makes the volumes.', (object) => {
      return classOf(object).provisioner;
    }),
    column('ReclaimPolicy', 'string', 'What becomes of data without its claim.', (object) => {
      return classOf(object).reclaimPolicy ?? 'Delete';
    }),
    column('VolumeBindingMode', 'string', 'When a claim gets its node.', (object) => {
      return classOf(object).volumeBindingMode ?? 'WaitForFirstConsumer';
    }),
    column('AllowVolumeExpansion', 'boolean', 'Whether claims may ask for more.', (object) => {
      return classOf(object).allowVolumeExpansion ?? true;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const storageClass = classOf(object);
    storageClass.reclaimPolicy ??= 'Delete';
    storageClass.volumeBindingMode ??= 'WaitForFirstConsumer';
    storageClass.allowVolumeExpansion ??= true;
  },
  validate(object, { previous }): readonly FieldError[] {
    const { provisioner, allowVolumeExpansion } = classOf(object);
    if (previous !== undefined) {
      return immutable('provisioner', classOf(previous).provisioner, provisioner);
    }
    return [
      ...(provisioner === nodeLocalProvisioner
        ? []
        : [fieldNotSupported('provisioner', provisioner, [nodeLocalProvisioner])]),
      ...(allowVolumeExpansion === false
        ? [fieldNotSupported('allowVolumeExpansion', false, ['true'])]
        : []),
    ];
  },
};
