/**
 * What a node follows: its own Node, the pods that are assigned to it, the claims whose
 * data it keeps, and what the pods name: the ConfigMaps and Secrets of their namespace. A
 * node sees no other Secret.
 * Every node has all Services and where their pods are: its pods may ask for any.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import type { FacetValue, ObjectKey, Store, StoredObject } from '#platform/store/mod.ts';
import type { SliceRules } from '#platform/sync/mod.ts';
import {
  claimsByNode,
  claimsResource,
  nodeKey,
  nodeNameOf,
  podsByNode,
  readFacet,
} from './stored-facets.ts';

const none: readonly never[] = [];

/** What every node follows as a whole. */
const fleetWide = ['services', 'endpointslices.discovery.k8s.io'];

/** The slice of a node has the node's name. The store must have the hub's indexes. */
export function nodeSliceRules(store: Store): SliceRules {
  /** By the intent, which stays the same while a pod only reports. */
  const known = new WeakMap<FacetValue, readonly ObjectKey[]>();
  return {
    slicesOf(object) {
      const { resource, name } = object.key;
      if (fleetWide.includes(resource)) return 'every';
      if (resource === 'nodes') return [name];
      const isOfNode = resource === 'pods' || resource === claimsResource;
      const nodeName = isOfNode ? nodeNameOf(object) : undefined;
      return nodeName === undefined ? none : [nodeName];
    },
    membersOf(slice) {
      const node = store.get(nodeKey(slice));
      return [
        ...(node === undefined ? [] : [node]),
        ...store.lookup(podsByNode, slice),
        ...store.lookup(claimsByNode, slice),
        ...fleetWide.flatMap((resource) => store.list(resource)),
      ];
    },
    related(member) {
      const { intent } = member.facets;
      if (member.key.resource !== 'pods' || intent === undefined) return none;
      let keys = known.get(intent);
      if (keys === undefined) known.set(intent, (keys = relatedKeysOf(member)));
      return keys;
    },
  };
}

function relatedKeysOf(pod: StoredObject): readonly ObjectKey[] {
  const spec = readFacet(pod, 'intent')?.['spec'];
  return isJsonObject(spec) ? relatedKeysOfPod(spec, pod.key.namespace) : none;
}

/**
 * What a pod's spec names, each once: by volumes, by the environment of its containers
 * and init containers, and to pull its images. Over plain JSON: whatever it is, it does
 * not throw.
 */
export function relatedKeysOfPod(spec: JsonObject, namespace: string): readonly ObjectKey[] {
  const names = { configmaps: new Set<string>(), secrets: new Set<string>() };
  const add = (resource: keyof typeof names, value: Json | undefined, field = 'name'): void => {
    const name = isJsonObject(value) ? value[field] : undefined;
    if (typeof name === 'string' && name !== '') names[resource].add(name);
  };
  for (const volume of objectsIn(spec['volumes'])) {
    add('configmaps', volume['configMap']);
    add('secrets', volume['secret'], 'secretName');
    const projected = isJsonObject(volume['projected']) ? volume['projected'] : {};
    for (const source of objectsIn(projected['sources'])) {
      add('configmaps', source['configMap']);
      add('secrets', source['secret']);
    }
  }
  for (const field of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of objectsIn(spec[field])) {
      for (const variable of objectsIn(container['env'])) {
        const source = isJsonObject(variable['valueFrom']) ? variable['valueFrom'] : {};
        add('configmaps', source['configMapKeyRef']);
        add('secrets', source['secretKeyRef']);
      }
      for (const source of objectsIn(container['envFrom'])) {
        add('configmaps', source['configMapRef']);
        add('secrets', source['secretRef']);
      }
    }
  }
  for (const reference of objectsIn(spec['imagePullSecrets'])) add('secrets', reference);
  return Object.entries(names).flatMap(([resource, found]) =>
    [...found].map((name) => ({ resource, namespace, name })),
  );
}

function objectsIn(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : none;
}
