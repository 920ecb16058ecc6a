/** ConfigMap: settings that workloads read. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { flag, mapOf, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import {
  dataIntentBytesMax,
  validateDataKeys,
  validateDataSize,
  validateImmutableData,
} from './data-rules.ts';

export interface ConfigMap extends ApiObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
  immutable?: boolean;
}

export const configMapDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  intentBytesMax: dataIntentBytesMax,
  schema: objectSchema('Settings that workloads read. All of it together is at most 1 MiB.', {
    data: mapOf('Settings as text.', text('One setting.')),
    binaryData: mapOf('Settings as bytes in base64.', text('One setting.', { format: 'byte' })),
    immutable: flag('True: the data can never be changed again.'),
  }),
  columns: [
    column('Data', 'integer', 'Number of settings.', (object) => {
      const { data = {}, binaryData = {} } = object as ConfigMap;
      return Object.keys(data).length + Object.keys(binaryData).length;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
  validate(object, { previous }) {
    const { data = {}, binaryData = {} } = object as ConfigMap;
    return [
      ...validateDataKeys(data, 'data'),
      ...validateDataKeys(binaryData, 'binaryData', data),
      ...validateDataSize('data', data, binaryData),
      ...validateImmutableData(object, previous, ['data', 'binaryData']),
    ];
  },
};
