/** Ingress: which requests from outside go to which service. Stored; nothing here serves it yet. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, integer, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { Schema } from '../schema.ts';
import { validateIngress } from './ingress-validation.ts';
import { notServedYet } from './not-served.ts';

export type IngressBackend = {
  service?: { name: string; port?: { name?: string; number?: number } };
  resource?: { apiGroup?: string; kind: string; name: string };
};

export type IngressPath = {
  path?: string;
  pathType: 'Exact' | 'Prefix' | 'ImplementationSpecific';
  backend: IngressBackend;
};

export type IngressRule = { host?: string; http?: { paths: IngressPath[] } };

export interface Ingress extends ApiObject {
  spec: {
    ingressClassName?: string;
    defaultBackend?: IngressBackend;
    rules?: IngressRule[];
    tls?: { hosts?: string[]; secretName?: string }[];
  };
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

const rulesMax = 256;
const pathsMax = 256;
const pathLengthMax = 2_048;
const tlsMax = 256;

const backend = (description: string): Schema =>
  record(description, {
    service: record(
      'A service in the namespace of the ingress.',
      {
        name: text('Name of the service.', { minLength: 1 }),
        port: record('Which of its ports: by name or by number.', {
          name: text('Name of the port.'),
          number: integer('Number of the port.', { minimum: 0, maximum: 65_535 }),
        }),
      },
      ['name'],
    ),
    resource: {
      ...record(
        'Another object in the namespace, instead of a service.',
        {
          apiGroup: text('Group of the object; the core group where not given.'),
          kind: text('Kind of the object.', { minLength: 1 }),
          name: text('Name of the object.', { minLength: 1 }),
        },
        ['kind', 'name'],
      ),
      'x-kubernetes-map-type': 'atomic',
    },
  });

const rule = record('What is done for one host.', {
  host: text('Name of the host, also *.example.com; every host where not given.'),
  http: record(
    'Paths of requests.',
    {
      paths: atomicList(
        'The longest that fits is taken.',
        record(
          'Where requests for one path go.',
          {
            path: text('The path, from its slash on.', { maxLength: pathLengthMax }),
            pathType: oneOf(
              'Exact: just this path. Prefix: also what is below it. ImplementationSpecific: as the class says.',
              ['Exact', 'Prefix', 'ImplementationSpecific'],
            ),
            backend: backend('Where such requests go.'),
          },
          ['pathType', 'backend'],
        ),
        { maxItems: pathsMax },
      ),
    },
    ['paths'],
  ),
});

export const ingressDefinition: ResourceDefinition = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'Ingress',
  plural: 'ingresses',
  singular: 'ingress',
  shortNames: ['ing'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema('Which requests from outside go to which service.', {
    spec: record('The rules.', {
      ingressClassName: text('The IngressClass that says who serves this.', {
        format: 'dns-subdomain',
      }),
      defaultBackend: backend('Where requests go that no rule is about.'),
      rules: atomicList('What is done for which host.', rule, { maxItems: rulesMax }),
      tls: atomicList(
        'Certificates for hosts.',
        record('One certificate.', {
          hosts: atomicList('Hosts that it is for.', text('Name of a host.'), { maxItems: tlsMax }),
          secretName: text('The Secret that holds it.', { format: 'dns-subdomain' }),
        }),
        { maxItems: tlsMax },
      ),
    }),
    status: record('How it is served.', {
      loadBalancer: record('Where it is reached.', {
        ingress: atomicList(
          'Places where it is reached.',
          record('One place.', {
            ip: text('Its address.'),
            hostname: text('Its name.'),
            ports: atomicList(
              'Its ports.',
              record(
                'One port.',
                {
                  port: integer('Number of the port.'),
                  protocol: oneOf('What is spoken there.', ['TCP', 'UDP', 'SCTP']),
                  error: text('What is wrong with it.'),
                },
                ['port', 'protocol'],
              ),
            ),
          }),
        ),
      }),
    }),
  }),
  columns: [
    column('Class', 'string', 'Who serves it.', (object) => {
      return (object as Ingress).spec.ingressClassName ?? '<none>';
    }),
    column('Hosts', 'string', 'Hosts that its rules are about.', (object) => {
      const hosts = ((object as Ingress).spec.rules ?? []).flatMap(({ host }) => host ?? []);
      return hosts.length === 0 ? '*' : hosts.join(',');
    }),
    column('Address', 'string', 'Where it is reached.', (object) => {
      const places = (object as Ingress).status?.loadBalancer?.ingress ?? [];
      return places.map(({ ip, hostname }) => ip ?? hostname ?? '').join(',');
    }),
    column('Ports', 'string', 'Ports that it is reached at.', (object) => {
      return ((object as Ingress).spec.tls ?? []).length > 0 ? '80, 443' : '80';
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    (object as Partial<Ingress>).spec ??= {};
  },
  warnings: () => [notServedYet('Ingress', 'its rules')],
  validate: (object, { previous }) => validateIngress(object as Ingress, previous === undefined),
};
