/**
 * The schema of a pod's specification: exactly the fields that this version
 * honours. A field that nothing acts on is left out, so that strict validation
 * names it instead of dropping a wish in silence; those that people know from
 * elsewhere are in `notYet`, for an answer that says so. The few that charts always have and
 * that mean nothing here are accepted, with a warning where that makes a difference.
 */
import { atomicList, flag, integer, mapOf, oneOf, quantity, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';
import { affinitySchema } from './pod-affinity.ts';
import { topologySpreadSchema } from './pod-topology-spread.ts';
import { containersSchema, initContainersSchema } from './pod-container.ts';
import { podGraceSecondsDefault, podGraceSecondsMax } from './pod-grace.ts';
import { podSecuritySchema } from './pod-security.ts';
import { tolerationSchema } from './pod-tolerations.ts';
import { volumesSchema } from './pod-volumes.ts';

const imagePullSecretsMax = 64;

const fields: Readonly<Record<string, Schema>> = {
  containers: containersSchema,
  initContainers: initContainersSchema,
  volumes: volumesSchema,
  restartPolicy: oneOf(
    'When a container that ended is started again.',
    ['Always', 'OnFailure', 'Never'],
    'Always',
  ),
  terminationGracePeriodSeconds: {
    type: 'integer',
    format: 'int64',
    description: `Time between the request to stop and the kill. More than ${podGraceSecondsMax} counts as that.`,
    minimum: 0,
    default: podGraceSecondsDefault,
  },
  activeDeadlineSeconds: {
    type: 'integer',
    format: 'int64',
    description: 'A pod that has been on its node for longer is ended, and has failed.',
    minimum: 1,
  },
  nodeName: text(
    'The node that the pod runs on. The scheduler chooses it unless it is given at creation.',
    { format: 'dns-subdomain' },
  ),
  nodeSelector: mapOf(
    'Labels that a node must have to be chosen.',
    text('The wanted value.', { format: 'label-value' }),
    { 'x-kubernetes-map-type': 'atomic' },
  ),
  affinity: affinitySchema,
  topologySpreadConstraints: topologySpreadSchema,
  tolerations: atomicList('Taints that do not keep the pod away.', tolerationSchema),
  priorityClassName: text(
    'The PriorityClass that says how important the pod is; the class that is the default where not given.',
    { format: 'dns-subdomain' },
  ),
  priority: integer(
    'How important the pod is, from its class: pods of less may end to make room for it.',
  ),
  preemptionPolicy: oneOf('Whether pods of less priority may be ended for it; from its class.', [
    'PreemptLowerPriority',
    'Never',
  ]),
  runtimeClassName: text('The RuntimeClass that says which runtime of the node runs the pod.', {
    format: 'dns-subdomain',
  }),
  overhead: mapOf(
    'What the pod takes beside its containers; from its RuntimeClass.',
    quantity('Amount of the resource.'),
  ),
  hostname: text("Host name that the containers see; the pod's name by default.", {
    format: 'dns-label',
  }),
  subdomain: text('Domain of the pod below that of its namespace: the name of a service.', {
    format: 'dns-label',
  }),
  securityContext: podSecuritySchema,
  serviceAccountName: text(
    'The ServiceAccount that the pod runs as, in its namespace: default where none is named.',
    { format: 'dns-subdomain' },
  ),
  serviceAccount: text('The older name of serviceAccountName.', { format: 'dns-subdomain' }),
  automountServiceAccountToken: flag(
    'Whether the containers are shown a token of the ServiceAccount below /var/run/secrets/kubernetes.io/serviceaccount; as the account says where this is left out.',
  ),
  enableServiceLinks: flag(
    'Accepted for clients that send it: services are found by name, not by variables.',
  ),
  imagePullSecrets: atomicList(
    "Accepted for clients that send it: images come from the fleet's own registry over the node's link, which needs no secret.",
    record('Name of a Secret.', { name: text('The name.', { maxLength: 253 }) }),
    { maxItems: imagePullSecretsMax },
  ),
  os: record('The operating system that the containers need.', {
    name: oneOf('Only linux, which every node runs.', ['linux']),
  }),
  hostNetwork: flag('Only false.'),
  hostPID: flag('Only false.'),
  hostIPC: flag('Only false.'),
  shareProcessNamespace: flag('Only false: each container sees its own processes alone.'),
  schedulerName: oneOf('Who chooses the node.', ['default-scheduler'], 'default-scheduler'),
  dnsPolicy: oneOf(
    'ClusterFirst: names of services first, others as the node resolves them. Default: all as the node does.',
    ['ClusterFirst', 'Default'],
    'ClusterFirst',
  ),
};

export const podSpecSchema: Schema = {
  ...record('What the pod runs and where it may run.', fields, ['containers']),
  notYet: [
    'dnsConfig',
    'ephemeralContainers',
    'hostAliases',
    'hostUsers',
    'hostnameOverride',
    'readinessGates',
    'resourceClaims',
    'resources',
    'schedulingGates',
    'setHostnameAsFQDN',
  ],
};
