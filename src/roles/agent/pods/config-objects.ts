/** ConfigMaps and Secrets as the replica has them: keys and bytes. */
import { isJsonObject, type JsonObject, utf8 } from '#base/mod.ts';
import { bytesOfBase64 } from '#platform/api/mod.ts';
import type { ObjectKey, StoredObject } from '#platform/store/mod.ts';
import { facetOf } from './desired-pod.ts';

export type ConfigKind = 'configmap' | 'secret';

export interface ConfigObjects {
  /** Undefined where there is no such object, as far as this node knows. */
  dataOf(
    kind: ConfigKind,
    namespace: string,
    name: string,
  ): ReadonlyMap<string, Uint8Array> | undefined;
}

const resources = { configmap: 'configmaps', secret: 'secrets' } as const;

export function configObjectsOf(replica: {
  get(key: ObjectKey): StoredObject | undefined;
}): ConfigObjects {
  const known = new WeakMap<StoredObject, ReadonlyMap<string, Uint8Array>>();
  return {
    dataOf(kind, namespace, name) {
      const object = replica.get({ resource: resources[kind], namespace, name });
      if (object === undefined) return undefined;
      let data = known.get(object);
      if (data === undefined) {
        data = dataIn(kind, facetOf(object, 'intent') ?? {});
        known.set(object, data);
      }
      return data;
    },
  };
}

function dataIn(kind: ConfigKind, intent: JsonObject): ReadonlyMap<string, Uint8Array> {
  const entries = (field: string): [string, string][] => {
    const values = intent[field];
    if (!isJsonObject(values)) return [];
    return Object.entries(values).filter((entry): entry is [string, string] => {
      return typeof entry[1] === 'string';
    });
  };
  const data = new Map<string, Uint8Array>();
  const encoded = entries(kind === 'secret' ? 'data' : 'binaryData');
  for (const [key, value] of encoded) data.set(key, bytesOfBase64(value));
  if (kind === 'configmap') for (const [key, value] of entries('data')) data.set(key, utf8(value));
  return data;
}
