/** EndpointSlice: where the pods of a Service are, and which of them are ready. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { atomicList, flag, integer, mapOf, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import type { ApiObject } from '../object.ts';
import type { ObjectReference } from '../core/event.ts';
import type { Protocol } from '../core/pod-types.ts';

export type Endpoint = {
  addresses: string[];
  conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
  hostname?: string;
  nodeName?: string;
  zone?: string;
  /** Has the region, by its usual label. */
  deprecatedTopology?: Record<string, string>;
  targetRef?: ObjectReference;
};

export type EndpointPort = {
  name?: string;
  protocol?: Protocol;
  port?: number;
  appProtocol?: string;
};

export interface EndpointSlice extends ApiObject {
  addressType: 'IPv4';
  endpoints: Endpoint[];
  ports?: EndpointPort[];
}

export const serviceNameLabel = 'kubernetes.io/service-name';
export const regionTopologyKey = 'topology.kubernetes.io/region';
const endpointsMax = 1_000;
const portsMax = 100;

const endpointSchema = record(
  'A pod, or whatever else answers.',
  {
    addresses: atomicList('Its address.', text('An address.'), { minItems: 1, maxItems: 100 }),
    conditions: record('Whether it should be used.', {
      ready: flag('It takes new connections.'),
      serving: flag('It answers, even where it is on its way out.'),
      terminating: flag('It is on its way out.'),
    }),
    hostname: text('Its own name within the service.', { format: 'dns-label' }),
    nodeName: text('The node that it runs on.'),
    zone: text('The site that it runs at.'),
    deprecatedTopology: mapOf('Has the region of the node.', text('A name.')),
    targetRef: record('The pod.', {
      apiVersion: text('Group and version of the object.'),
      kind: text('Kind of the object.'),
      namespace: text('Namespace of the object.'),
      name: text('Name of the object.'),
      uid: text('Identity of the object.'),
      resourceVersion: text('The version of the object that was seen.'),
      fieldPath: text('Not used.'),
    }),
  },
  ['addresses'],
);

export const endpointSliceDefinition: ResourceDefinition = {
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  singular: 'endpointslice',
  shortNames: [],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema(
    'Where pods of a Service are, and which of them are ready. Made from the pods that the Service selects.',
    {
      addressType: oneOf('The kind of the addresses.', ['IPv4']),
      endpoints: atomicList('Who answers.', endpointSchema, { maxItems: endpointsMax }),
      ports: atomicList(
        'The ports that all of them answer on.',
        record('A port.', {
          name: text('Name of the port of the Service.'),
          protocol: oneOf('The transport protocol.', ['TCP', 'UDP', 'SCTP'], 'TCP'),
          port: integer('The port of the pods.', { minimum: 1, maximum: 65_535 }),
          appProtocol: text('What is spoken on it.'),
        }),
        { maxItems: portsMax },
      ),
    },
    ['addressType', 'endpoints'],
  ),
  columns: [
    column('AddressType', 'string', 'The kind of the addresses.', (object) => {
      return (object as EndpointSlice).addressType;
    }),
    column('Ports', 'string', 'The ports that are answered on.', (object) => {
      const { ports = [] } = object as EndpointSlice;
      return ports.length === 0 ? '<unset>' : ports.map(({ port }) => port).join(',');
    }),
    column('Endpoints', 'string', 'The addresses that answer.', (object) => {
      const { endpoints } = object as EndpointSlice;
      return endpoints.length === 0
        ? '<unset>'
        : endpoints.flatMap(({ addresses }) => addresses).join(',');
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
  validate(object, { previous }): readonly FieldError[] {
    const slice = object as EndpointSlice;
    const before = previous as EndpointSlice | undefined;
    const errors: FieldError[] = slice.endpoints.flatMap(({ addresses }, position) =>
      addresses.every(isIpv4)
        ? []
        : [
            {
              field: `endpoints[${position}].addresses`,
              reason: 'FieldValueInvalid' as const,
              message: 'must be IPv4 addresses, such as 127.1.2.3',
            },
          ],
    );
    if (before === undefined) return errors;
    return [...errors, ...immutable('addressType', before.addressType, slice.addressType)];
  },
};

function isIpv4(address: string): boolean {
  const parts = address.split('.');
  return (
    parts.length === 4 && parts.every((part) => /^\d{1,3}$/u.test(part) && Number(part) <= 255)
  );
}

/** The slices of a service have its name in a label. */
export function serviceOfSlice({ metadata }: ApiObject): string | undefined {
  return metadata.labels?.[serviceNameLabel];
}
