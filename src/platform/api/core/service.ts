/** Service: one lasting name and address for whichever pods are ready. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { atomicList, flag, integer, keyedList, mapOf, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column, wideColumn } from '../meta/columns.ts';
import { conditionsSchema } from '../meta/condition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { dnsLabelName } from '../meta/rules.ts';
import type { ApiObject } from '../object.ts';
import { settleService } from './service-settle.ts';
import { hasNodePorts, headless, type Service } from './service-types.ts';
import { validateService } from './service-validation.ts';

const portMax = 65_535;
const portsMax = 100;
/** A service's affinity is at most a day long. */
const affinitySecondsMax = 86_400;
const affinitySecondsDefault = 10_800;

const portSchema = record(
  'A port that the service answers on.',
  {
    name: text('Name of the port; needed where there are several.', { format: 'dns-label' }),
    protocol: oneOf(
      'The transport protocol. Datagrams (UDP) reach pods of the same machine only.',
      ['TCP', 'UDP', 'SCTP'],
      'TCP',
    ),
    appProtocol: text('What is spoken on it, for whoever wants to know.', {
      format: 'qualified-name',
    }),
    port: integer('The port of the service.', { minimum: 1, maximum: portMax }),
    targetPort: {
      description: 'The port of the pods: a number, or the name of a port of a container.',
      'x-kubernetes-int-or-string': true,
    },
    nodePort: integer('The port on the address of every node; chosen where not given.', {
      minimum: 0,
      maximum: portMax,
    }),
  },
  ['port'],
);

const specSchema = {
  ...record('Which pods are meant and how they are reached.', {
    type: oneOf(
      'ClusterIP has an address in the fleet, NodePort also a port on every node, LoadBalancer the same with a warning (there is none outside the fleet), ExternalName is another name for a host elsewhere.',
      ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'],
      'ClusterIP',
    ),
    clusterIP: text(
      'The address in the fleet; chosen where not given. `None`: clients are told the addresses of the pods.',
    ),
    clusterIPs: atomicList('The same as clusterIP, as a list of one.', text('An address.'), {
      maxItems: 1,
    }),
    ports: keyedList('The ports that the service answers on.', ['port', 'protocol'], portSchema, {
      maxItems: portsMax,
    }),
    selector: mapOf(
      'Labels of the pods that are meant. Without them somebody else writes the EndpointSlices.',
      text('The wanted value.', { format: 'label-value' }),
      { 'x-kubernetes-map-type': 'atomic' },
    ),
    sessionAffinity: oneOf(
      'ClientIP: connections from one address go to one pod while it is there.',
      ['None', 'ClientIP'],
      'None',
    ),
    sessionAffinityConfig: record('How that is done.', {
      clientIP: record('For ClientIP.', {
        timeoutSeconds: integer('How long an address is remembered.', {
          minimum: 1,
          maximum: affinitySecondsMax,
        }),
      }),
    }),
    externalName: text('The host that an ExternalName stands for.', { format: 'dns-subdomain' }),
    publishNotReadyAddresses: flag('True: pods are told of also while they are not ready.'),
    internalTrafficPolicy: oneOf(
      'Cluster: every ready pod may be used, the nearest first.',
      ['Cluster'],
      'Cluster',
    ),
    externalTrafficPolicy: oneOf('Cluster: the same for node ports.', ['Cluster']),
    ipFamilies: atomicList('The kinds of addresses.', oneOf('IPv4.', ['IPv4']), { maxItems: 1 }),
    ipFamilyPolicy: oneOf('One kind of addresses.', ['SingleStack']),
    trafficDistribution: oneOf(
      'Accepted for clients that send it: the nearest ready pods always come first.',
      ['PreferClose', 'PreferSameNode', 'PreferSameZone'],
    ),
  }),
  notYet: [
    'externalIPs',
    'loadBalancerIP',
    'loadBalancerClass',
    'loadBalancerSourceRanges',
    'allocateLoadBalancerNodePorts',
    'healthCheckNodePort',
  ],
};

const statusSchema = record('What is known of the service.', {
  loadBalancer: record('Always empty: there are no load balancers outside the fleet.', {}),
  conditions: conditionsSchema('What holds for the service.'),
});

export const serviceDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema(
    'One lasting name and address for whichever pods are ready.',
    { spec: specSchema, status: statusSchema },
    ['spec'],
  ),
  columns: [
    column('Type', 'string', 'ClusterIP, NodePort, LoadBalancer or ExternalName.', (object) => {
      return specOf(object).type ?? 'ClusterIP';
    }),
    column('Cluster-IP', 'string', 'The address in the fleet.', (object) => {
      return specOf(object).clusterIP ?? '<none>';
    }),
    column(
      'External-IP',
      'string',
      'The host that the name stands for; pending for a load balancer.',
      (object) => {
        const { type, externalName } = specOf(object);
        return type === 'LoadBalancer' ? '<pending>' : (externalName ?? '<none>');
      },
    ),
    column('Port(s)', 'string', 'The ports that the service answers on.', (object) => {
      const words = (specOf(object).ports ?? []).map(
        ({ port, nodePort, protocol = 'TCP' }) =>
          `${port}${nodePort === undefined ? '' : `:${nodePort}`}/${protocol}`,
      );
      return words.length === 0 ? '<none>' : words.join(',');
    }),
    ageColumn,
    wideColumn('Selector', 'string', 'Labels of the pods that are meant.', (object) => {
      const words = Object.entries(specOf(object).selector ?? {}).map(
        ([key, value]) => `${key}=${value}`,
      );
      return words.length === 0 ? '<none>' : words.join(',');
    }),
  ],
  selectableFields: {
    'spec.clusterIP': (object) => specOf(object).clusterIP ?? '',
    'spec.type': (object) => specOf(object).type ?? 'ClusterIP',
  },
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const spec = specOf(object);
    spec.type ??= 'ClusterIP';
    spec.sessionAffinity ??= 'None';
    for (const port of spec.ports ?? []) {
      port.protocol ??= 'TCP';
      port.targetPort ??= port.port;
      if (port.nodePort === 0) delete port.nodePort;
    }
    if (spec.sessionAffinity === 'ClientIP') {
      const config = (spec.sessionAffinityConfig ??= {});
      const clientIP = (config.clientIP ??= {});
      clientIP.timeoutSeconds ??= affinitySecondsDefault;
    }
    if (spec.type === 'ExternalName') return;
    spec.internalTrafficPolicy ??= 'Cluster';
    if (hasNodePorts(spec)) spec.externalTrafficPolicy ??= 'Cluster';
    else delete spec.externalTrafficPolicy;
    spec.ipFamilies ??= ['IPv4'];
    spec.ipFamilyPolicy ??= 'SingleStack';
    if (spec.clusterIP === '') delete spec.clusterIP;
    const address = spec.clusterIP ?? spec.clusterIPs?.[0];
    if (address === undefined) return;
    spec.clusterIP = address;
    spec.clusterIPs ??= [address];
  },
  warnings: (object) =>
    specOf(object).type === 'LoadBalancer'
      ? [
          'spec.type: there are no load balancers outside the fleet: the Service is reached by its address and node ports',
        ]
      : [],
  validate(object, { operation, previous }): readonly FieldError[] {
    return [
      ...(operation === 'create' ? dnsLabelName(object.metadata.name) : []),
      ...validateService(object as Service, previous as Service | undefined),
    ];
  },
  settle: (object, context) => settleService(object as Service, context),
};

function specOf(object: ApiObject): Service['spec'] {
  return (object as Service).spec;
}

/** Whether clients are told the addresses of the pods. */
export function isHeadless({ spec }: Service): boolean {
  return spec.clusterIP === headless;
}
