/** Site: a place where nodes stand. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { dnsLabelName, immutable } from '../meta/rules.ts';

export interface Site extends ApiObject {
  spec: {
    region: string;
    location?: { latitude: number; longitude: number };
    description?: string;
  };
}

export const siteDefinition: ResourceDefinition = {
  group: 'selvage.dev',
  version: 'v1',
  kind: 'Site',
  plural: 'sites',
  singular: 'site',
  shortNames: [],
  categories: ['fleet'],
  namespaced: false,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema(
    'A place where nodes stand.',
    {
      spec: record(
        'What the site is and where.',
        {
          region: text('The region that the site belongs to. Cannot be changed.', {
            minLength: 1,
            format: 'dns-label',
          }),
          location: record(
            'Where the site is on the map.',
            {
              latitude: {
                type: 'number',
                format: 'double',
                description: 'Degrees north of the equator.',
                minimum: -90,
                maximum: 90,
              },
              longitude: {
                type: 'number',
                format: 'double',
                description: 'Degrees east of Greenwich.',
                minimum: -180,
                maximum: 180,
              },
            },
            ['latitude', 'longitude'],
          ),
          description: text('What people should know about it.', { maxLength: 1024 }),
        },
        ['region'],
      ),
    },
    ['spec'],
  ),
  columns: [
    column('Region', 'string', 'The region that the site belongs to.', (object) => {
      return (object as Site).spec.region;
    }),
    ageColumn,
  ],
  selectableFields: { 'spec.region': (object) => (object as Site).spec.region },
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
  validate(object, { operation, previous }): readonly FieldError[] {
    const site = object as Site;
    return [
      ...(operation === 'create' ? dnsLabelName(site.metadata.name) : []),
      ...(previous === undefined
        ? []
        : immutable('spec.region', (previous as Site).spec.region, site.spec.region)),
    ];
  },
};
