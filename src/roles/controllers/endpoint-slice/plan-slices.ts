/**
 * The endpoint slices that a service should have, from its pods.
 *
 * Invariants:
 * 1. A pod is in them from when it has an address until it has ended; whether it is
 *    to be used is in its conditions.
 * 2. All endpoints of a slice answer on the same ports; where a name stands for
 *    different numbers in different pods, there are slices for each.
 * 3. The same pods give the same slices.
 */
import { hash } from 'node:crypto';
import {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  isHeadless,
  type Node,
  type Pod,
  regionTopologyKey,
  type Service,
  serviceNameLabel,
  type ServicePort,
} from '#platform/api/mod.ts';
import { controllerReference } from '../shared/ownership.ts';
import { hasEnded, isReady } from '../shared/pod-state.ts';

export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const managedBy = 'endpointslice-controller.selvage.dev';
const headlessLabel = 'service.kubernetes.io/headless';
const zoneTopologyKey = 'topology.kubernetes.io/zone';
const endpointsPerSliceMax = 100;
const nameBaseLengthMax = 57;

/** `pods` are those that the service selects. */
export function planSlices(
  service: Service,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): readonly EndpointSlice[] {
  const byPorts = new Map<string, { ports: readonly EndpointPort[]; endpoints: Endpoint[] }>();
  const inOrder = pods
    .filter((pod) => !hasEnded(pod) && pod.status?.podIP !== undefined)
    .toSorted((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
  for (const pod of inOrder) {
    const ports = portsOf(service, pod);
    const key = JSON.stringify(ports);
    const group = byPorts.get(key) ?? { ports, endpoints: [] };
    byPorts.set(key, group);
    group.endpoints.push(endpointOf(service, pod, nodeOf(pod.spec.nodeName ?? '')));
  }
  const slices: EndpointSlice[] = [];
  for (const { ports, endpoints } of byPorts.values()) {
    for (let at = 0; at < endpoints.length; at += endpointsPerSliceMax) {
      const some = endpoints.slice(at, at + endpointsPerSliceMax);
      slices.push(sliceOf(service, slices.length, ports, some));
    }
  }
  // One that says that there is nobody, so that it can be told from not knowing.
  return slices.length > 0 ? slices : [sliceOf(service, 0, [], [])];
}

function sliceOf(
  service: Service,
  number: number,
  ports: readonly EndpointPort[],
  endpoints: readonly Endpoint[],
): EndpointSlice {
  const { name, namespace = '', uid = '', labels } = service.metadata;
  const suffix = hash('sha256', `${uid}/${number}`, 'hex').slice(0, 5);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name.slice(0, nameBaseLengthMax)}-${suffix}`,
      namespace,
      labels: {
        ...labels,
        [serviceNameLabel]: name,
        [managedByLabel]: managedBy,
        ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
      },
      ownerReferences: [controllerReference(service)],
    },
    addressType: 'IPv4',
    endpoints: [...endpoints],
    ports: [...ports],
  };
}

function endpointOf({ metadata, spec }: Service, pod: Pod, node: Node | undefined): Endpoint {
  const { podIP = '' } = pod.status ?? {};
  const { nodeName, hostname, subdomain } = pod.spec;
  const { [zoneTopologyKey]: zone, [regionTopologyKey]: region } = node?.metadata.labels ?? {};
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  return {
    addresses: [podIP],
    conditions: {
      ready: spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(hostname !== undefined && subdomain === metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    ...(region === undefined ? {} : { deprecatedTopology: { [regionTopologyKey]: region } }),
    targetRef: {
      kind: 'Pod',
      namespace: pod.metadata.namespace ?? '',
      name: pod.metadata.name,
      uid: pod.metadata.uid ?? '',
    },
  };
}

/** A port whose name the pod does not have is not one of its own. */
function portsOf({ spec }: Service, pod: Pod): readonly EndpointPort[] {
  return (spec.ports ?? []).flatMap((port) => {
    const number = targetOf(port, pod);
    if (number === undefined) return [];
    const { name, protocol = 'TCP', appProtocol } = port;
    return [
      {
        ...(name === undefined ? {} : { name }),
        protocol,
        port: number,
        ...(appProtocol === undefined ? {} : { appProtocol }),
      },
    ];
  });
}

function targetOf(
  { port, protocol = 'TCP', targetPort = port }: ServicePort,
  pod: Pod,
): number | undefined {
  if (typeof targetPort === 'number') return targetPort;
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  for (const { ports = [] } of containers) {
    const found = ports.find(
      (candidate) => candidate.name === targetPort && (candidate.protocol ?? 'TCP') === protocol,
    );
    if (found !== undefined) return found.containerPort;
  }
  return undefined;
}
