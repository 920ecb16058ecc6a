/** NetworkPolicy: who may connect to which pods. Stored; nothing here enforces it yet. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, integer, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import {
  type LabelSelector,
  labelSelectorSchema,
  labelSelectorText,
} from '../meta/label-selector.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { Protocol } from '../core/pod-types.ts';
import { validateNetworkPolicy } from './network-policy-validation.ts';
import { notServedYet } from './not-served.ts';

export type NetworkPolicyPort = { protocol?: Protocol; port?: number | string; endPort?: number };

export type NetworkPolicyPeer = {
  podSelector?: LabelSelector;
  namespaceSelector?: LabelSelector;
  ipBlock?: { cidr: string; except?: string[] };
};

export type NetworkPolicyRule = {
  ports?: NetworkPolicyPort[];
  from?: NetworkPolicyPeer[];
  to?: NetworkPolicyPeer[];
};

export interface NetworkPolicy extends ApiObject {
  spec: {
    podSelector?: LabelSelector;
    ingress?: NetworkPolicyRule[];
    egress?: NetworkPolicyRule[];
    policyTypes?: ('Ingress' | 'Egress')[];
  };
}

const rulesMax = 256;
const peersMax = 256;
const portsMax = 256;

const ports = atomicList(
  'Ports that the rule is about; all where not given.',
  record('One port, or several in a row.', {
    protocol: oneOf('What is spoken there; TCP where not given.', ['TCP', 'UDP', 'SCTP']),
    port: {
      description: 'Number of the port, or its name in the pod; all ports where not given.',
      'x-kubernetes-int-or-string': true,
    },
    endPort: integer('The last of several ports in a row, from the number in port on.', {
      minimum: 1,
      maximum: 65_535,
    }),
  }),
  { maxItems: portsMax },
);

const peers = (description: string) =>
  atomicList(
    description,
    record('Pods, or addresses.', {
      podSelector: labelSelectorSchema(
        'Pods, in the selected namespaces or else in that of the policy.',
      ),
      namespaceSelector: labelSelectorSchema('Namespaces of the pods.'),
      ipBlock: record(
        'Addresses.',
        {
          cidr: text('Addresses with the same beginning, such as 10.0.0.0/8.'),
          except: atomicList('Addresses among them that are not meant.', text('A part of them.'), {
            maxItems: peersMax,
          }),
        },
        ['cidr'],
      ),
    }),
    { maxItems: peersMax },
  );

export const networkPolicyDefinition: ResourceDefinition = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  singular: 'networkpolicy',
  shortNames: ['netpol'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema('Who may connect to which pods, and whom these may connect to.', {
    spec: record('The pods and the rules.', {
      podSelector: labelSelectorSchema(
        'The pods that the policy is about; an empty one selects all of the namespace.',
      ),
      ingress: atomicList(
        'Connections that these pods take.',
        record('One rule.', {
          ports,
          from: peers('Where the connections come from; anywhere where not given.'),
        }),
        { maxItems: rulesMax },
      ),
      egress: atomicList(
        'Connections that these pods open.',
        record('One rule.', { ports, to: peers('Where they go; anywhere where not given.') }),
        { maxItems: rulesMax },
      ),
      policyTypes: atomicList(
        'Which directions the policy is about; where not given Ingress, and Egress if it has rules for that.',
        oneOf('One direction.', ['Ingress', 'Egress']),
        { maxItems: 2 },
      ),
    }),
  }),
  columns: [
    column('Pod-Selector', 'string', 'The pods that the policy is about.', (object) => {
      const text = labelSelectorText((object as NetworkPolicy).spec.podSelector ?? {});
      return text === '' ? '<none>' : text;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const spec = ((object as Partial<NetworkPolicy>).spec ??= {});
    spec.podSelector ??= {};
    spec.policyTypes ??= (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
    }
  },
  warnings: () => [notServedYet('NetworkPolicy', 'its rules')],
  validate: (object) => validateNetworkPolicy(object as NetworkPolicy),
};
