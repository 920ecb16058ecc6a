/**
 * The services of the fleet and who answers for them, as this node's copy of its
 * slice has them. Read anew as far as something changed; always there, with or
 * without the hub.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  type Endpoint,
  type EndpointSlice,
  regionTopologyKey,
  type Service,
  type ServicePort,
  serviceOfSlice,
} from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { Replica } from '#platform/sync/mod.ts';
import { facetOf } from '../pods/desired-pod.ts';
import type { Place } from './nearness.ts';

export const servicesResource = 'services';
export const endpointSlicesResource = 'endpointslices.discovery.k8s.io';

/** Somebody who answers, on one port. */
export interface Backend extends Place {
  readonly address: string;
  readonly port: number;
  readonly isReady: boolean;
  /** It answers, though it may be on its way out. */
  readonly isServing: boolean;
  readonly hostname: string | undefined;
  /** Undefined for who is no pod of the fleet. */
  readonly pod:
    | { readonly namespace: string; readonly name: string; readonly uid: string }
    | undefined;
}

export interface KnownService {
  readonly namespace: string;
  readonly name: string;
  readonly spec: Service['spec'];
  /** By the name of the service's port; empty for the only one. */
  readonly backends: ReadonlyMap<string, readonly Backend[]>;
}

export interface ServiceTable {
  get(namespace: string, name: string): KnownService | undefined;
  hasNamespace(namespace: string): boolean;
  list(): readonly KnownService[];
  /** Called after services or endpoints have changed. */
  onChange(listener: () => void): void;
}

export function openServiceTable(replica: Replica): ServiceTable {
  const listeners: (() => void)[] = [];
  let services: ReadonlyMap<string, KnownService> | undefined;

  replica.onChange((changes) => {
    const concerns = changes.some(({ object }) =>
      [servicesResource, endpointSlicesResource].includes(object.key.resource),
    );
    if (!concerns) return;
    services = undefined;
    for (const listener of listeners) listener();
  });

  function known(): ReadonlyMap<string, KnownService> {
    services ??= readServices(replica);
    return services;
  }

  return {
    get: (namespace, name) => known().get(`${namespace}/${name}`),
    hasNamespace: (namespace) => hasPrefix(known(), namespace),
    list: () => [...known().values()],
    onChange(listener) {
      listeners.push(listener);
    },
  };
}

function hasPrefix(services: ReadonlyMap<string, KnownService>, namespace: string): boolean {
  for (const service of services.values()) if (service.namespace === namespace) return true;
  return false;
}

/** Parsed once for each stored version. */
const parsed = new WeakMap<StoredObject, JsonObject | undefined>();

function read(object: StoredObject): unknown {
  if (!parsed.has(object)) parsed.set(object, facetOf(object, 'intent'));
  return parsed.get(object);
}

function readServices(replica: Replica): ReadonlyMap<string, KnownService> {
  const slices = new Map<string, EndpointSlice[]>();
  for (const object of replica.list(endpointSlicesResource)) {
    const slice = read(object) as EndpointSlice | undefined;
    const service = slice === undefined ? undefined : serviceOfSlice(slice);
    if (slice === undefined || service === undefined || !Array.isArray(slice.endpoints)) continue;
    const key = `${object.key.namespace}/${service}`;
    const others = slices.get(key);
    if (others === undefined) slices.set(key, [slice]);
    else others.push(slice);
  }
  const services = new Map<string, KnownService>();
  for (const object of replica.list(servicesResource)) {
    const service = read(object) as Service | undefined;
    if (service === undefined || !isJsonObject(service.spec)) continue;
    const { namespace, name } = object.key;
    const key = `${namespace}/${name}`;
    const { spec } = service;
    const backends = backendsOf(spec.ports ?? [], slices.get(key) ?? []);
    services.set(key, { namespace, name, spec, backends });
  }
  return services;
}

/** What another version of the hub may send is looked at before it is used. */
function hasAddress(endpoint: Endpoint): boolean {
  const { addresses } = (isJsonObject(endpoint) ? endpoint : {}) as Partial<Endpoint>;
  return Array.isArray(addresses) && typeof addresses[0] === 'string';
}

function podOf({ targetRef = {} }: Endpoint): Backend['pod'] {
  const { kind, namespace, name, uid } = targetRef;
  if (kind !== 'Pod' || namespace === undefined || name === undefined || uid === undefined) {
    return undefined;
  }
  return { namespace, name, uid };
}

function backendsOf(
  ports: readonly ServicePort[],
  slices: readonly EndpointSlice[],
): ReadonlyMap<string, readonly Backend[]> {
  const byPort = new Map<string, Backend[]>(ports.map(({ name = '' }) => [name, []]));
  // A headless service without ports still gives its pods their names.
  const isPortless = ports.length === 0;
  if (isPortless) byPort.set('', []);
  for (const { endpoints, ports: slicePorts = [] } of slices) {
    for (const { name = '', port } of isPortless ? [{ port: 0 }] : slicePorts) {
      const backends = byPort.get(name);
      if (backends === undefined || port === undefined) continue;
      for (const endpoint of endpoints.filter(hasAddress)) {
        const [address = ''] = endpoint.addresses;
        const { conditions = {}, nodeName, zone, hostname, deprecatedTopology } = endpoint;
        const isReady = conditions.ready !== false;
        backends.push({
          address,
          port,
          isReady,
          isServing: conditions.serving ?? isReady,
          hostname,
          pod: podOf(endpoint),
          nodeName,
          site: zone,
          region: deprecatedTopology?.[regionTopologyKey],
        });
      }
    }
  }
  return byPort;
}
