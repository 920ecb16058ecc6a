/** Endpoints: EndpointSlices in their older form, made on read for clients that ask for it. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { atomicList, integer, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { objectSchema } from '../meta/metadata.ts';
import type { ApiObject } from '../object.ts';
import type { EndpointPort } from '../discovery/endpoint-slice.ts';
import type { ObjectReference } from './event.ts';

export type EndpointAddress = {
  ip: string;
  hostname?: string;
  nodeName?: string;
  targetRef?: ObjectReference;
};

export type EndpointSubset = {
  addresses?: EndpointAddress[];
  notReadyAddresses?: EndpointAddress[];
  ports?: EndpointPort[];
};

export interface Endpoints extends ApiObject {
  subsets?: EndpointSubset[];
}

const shownMax = 3;

const address = record('Who answers.', {
  ip: text('The address.'),
  hostname: text('Its own name within the service.'),
  nodeName: text('The node that it runs on.'),
  targetRef: record('The pod.', {
    apiVersion: text('Group and version of the object.'),
    kind: text('Kind of the object.'),
    namespace: text('Namespace of the object.'),
    name: text('Name of the object.'),
    uid: text('Identity of the object.'),
    resourceVersion: text('The version of the object that was seen.'),
    fieldPath: text('Not used.'),
  }),
});

export const endpointsDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  categories: [],
  namespaced: true,
  verbs: ['get', 'list'],
  subresources: [],
  storage: 'synthesized',
  schema: objectSchema(
    'Where the pods of a Service are. Made from its EndpointSlices when it is read; they can be watched, this cannot.',
    {
      subsets: atomicList(
        'Addresses with the same ports.',
        record('One set.', {
          addresses: atomicList('Those that are ready.', address),
          notReadyAddresses: atomicList('Those that are not.', address),
          ports: atomicList(
            'The ports that they answer on.',
            record('A port.', {
              name: text('Name of the port of the Service.'),
              port: integer('The port of the pods.'),
              protocol: oneOf('The transport protocol.', ['TCP', 'UDP', 'SCTP']),
              appProtocol: text('What is spoken on it.'),
            }),
          ),
        }),
      ),
    },
  ),
  columns: [
    column('Endpoints', 'string', 'The addresses that are ready.', (object) => {
      const ready = ((object as Endpoints).subsets ?? []).flatMap(
        ({ addresses = [], ports = [] }) =>
          addresses.flatMap(({ ip }) =>
            ports.length === 0 ? [ip] : ports.map(({ port }) => `${ip}:${port}`),
          ),
      );
      if (ready.length === 0) return '<none>';
      const more = ready.length - shownMax;
      return `${ready.slice(0, shownMax).join(',')}${more > 0 ? ` + ${more} more...` : ''}`;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
};
