/** Secret: settings that only those see who may. */
import { isJsonObject, utf8 } from '#base/mod.ts';
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { base64Of } from '../meta/base64.ts';
import { flag, mapOf, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import {
  dataIntentBytesMax,
  validateDataKeys,
  validateDataSize,
  validateImmutableData,
} from './data-rules.ts';
import { secretTypeWarnings, validateSecretType } from './secret-types.ts';

export interface Secret extends ApiObject {
  type?: string;
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  immutable?: boolean;
}

export const secretDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  singular: 'secret',
  shortNames: [],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  intentBytesMax: dataIntentBytesMax,
  schema: objectSchema('Settings that only those see who may. All together at most 1 MiB.', {
    type: text('What kind of secret this is, for programs. Cannot be changed.', {
      default: 'Opaque',
    }),
    data: mapOf('The settings, each in base64.', text('One setting.', { format: 'byte' })),
    stringData: mapOf(
      'Settings as plain text, for convenience when writing: they are moved into data.',
      text('One setting.'),
    ),
    immutable: flag('True: the data can never be changed again.'),
  }),
  columns: [
    column('Type', 'string', 'What kind of secret this is.', (object) => {
      return (object as Secret).type ?? 'Opaque';
    }),
    column('Data', 'integer', 'Number of settings.', (object) => {
      return Object.keys((object as Secret).data ?? {}).length;
    }),
    ageColumn,
  ],
  selectableFields: { type: (object) => (object as Secret).type ?? 'Opaque' },
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const secret = object as Secret;
    secret.type ??= 'Opaque';
    if (!isJsonObject(secret.stringData)) return;
    const added = Object.entries(secret.stringData).map(
      ([key, value]) => [key, base64Of(utf8(value))] as const,
    );
    secret.data = { ...secret.data, ...Object.fromEntries(added) };
    delete secret.stringData;
  },
  warnings: (object) => secretTypeWarnings(object),
  validate(object, { previous }) {
    const { data = {}, type } = object as Secret;
    return [
      ...(previous === undefined ? [] : immutable('type', (previous as Secret).type, type)),
      ...validateDataKeys(data, 'data'),
      ...validateDataSize('data', data),
      ...validateSecretType(object),
      ...validateImmutableData(object, previous, ['data']),
    ];
  },
};
