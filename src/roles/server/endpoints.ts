/** Endpoints in their older form, made on read from the slices of a service. */
import {
  type ApiObject,
  type Endpoint,
  type EndpointPort,
  type Endpoints,
  type EndpointAddress,
  type EndpointSlice,
  type EndpointSubset,
  serviceOfSlice,
} from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { ServerParts } from './dependencies.ts';

const slicesResource = 'endpointslices.discovery.k8s.io';

/** Undefined where there is no such service, or nothing is known of its endpoints. */
export function endpointsOf(
  parts: ServerParts,
  namespace: string,
  name: string,
): ApiObject | undefined {
  const service = parts.store.get({ resource: 'services', namespace, name });
  return service === undefined ? undefined : endpointsOfService(parts, service);
}

/** Sorted by namespace and name. */
export function listEndpoints(parts: ServerParts, namespace: string): readonly ApiObject[] {
  const { store } = parts;
  const services = namespace === '' ? store.list('services') : store.list('services', namespace);
  return services.flatMap((service) => endpointsOfService(parts, service) ?? []);
}

function endpointsOfService(parts: ServerParts, service: StoredObject): ApiObject | undefined {
  const { namespace, name } = service.key;
  const definition = parts.registry.byStoreResource(slicesResource);
  if (definition === undefined) return undefined;
  const slices = parts.store
    .list(slicesResource, namespace)
    .map((stored) => parts.served.of(definition, stored).object as EndpointSlice)
    .filter((slice) => serviceOfSlice(slice) === name);
  const [first] = slices;
  if (first === undefined) return undefined;
  const { creationTimestamp, labels } = first.metadata;
  const endpoints: Endpoints = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      name,
      namespace,
      uid: service.uid,
      resourceVersion: String(parts.store.revision),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(labels === undefined ? {} : { labels }),
    },
    subsets: subsetsOf(slices),
  };
  return endpoints;
}

function subsetsOf(slices: readonly EndpointSlice[]): EndpointSubset[] {
  const byPorts = new Map<string, { ports: EndpointPort[]; endpoints: Endpoint[] }>();
  for (const { endpoints, ports = [] } of slices) {
    const key = JSON.stringify(ports);
    const group = byPorts.get(key) ?? { ports, endpoints: [] };
    byPorts.set(key, group);
    group.endpoints.push(...endpoints);
  }
  return [...byPorts.values()]
    .filter(({ endpoints }) => endpoints.length > 0)
    .map(({ ports, endpoints }) => {
      const addresses = (isReady: boolean): EndpointAddress[] =>
        endpoints
          .filter(({ conditions }) => (conditions?.ready !== false) === isReady)
          .flatMap(addressesOf);
      const [ready, notReady] = [addresses(true), addresses(false)];
      return {
        ...(ready.length === 0 ? {} : { addresses: ready }),
        ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
        ports,
      };
    });
}

function addressesOf({ addresses, hostname, nodeName, targetRef }: Endpoint): EndpointAddress[] {
  return addresses.map((ip) => ({
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  }));
}
