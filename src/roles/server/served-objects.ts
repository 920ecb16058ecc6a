/**
 * Stored objects as they are served, made once and shared by all readers: the
 * folded object, its JSON bytes, its lines in watches.
 *
 * Invariants:
 * 1. At most `servedObjectsKeptMax` are kept, the most recently used ones.
 * 2. What is handed out is shared: nobody changes it.
 */
import { concatBytes, utf8 } from '#base/mod.ts';
import { type ApiObject, foldObject, type ResourceDefinition } from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { servedObjectsKeptMax } from './limits.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface ServedObject {
  readonly object: ApiObject;
  /** The JSON of `object`. */
  json(): Uint8Array;
  /** One line of a watch. */
  watchLine(type: WatchEventType): Uint8Array;
}

export interface ServedObjects {
  of(definition: ResourceDefinition, stored: StoredObject): ServedObject;
}

export function createServedObjects(): ServedObjects {
  const kept = new Map<StoredObject, ServedObject>();
  return {
    of(definition, stored) {
      const known = kept.get(stored);
      if (known !== undefined) {
        kept.delete(stored);
        kept.set(stored, known);
        return known;
      }
      const made = serve(foldObject(definition, stored));
      kept.set(stored, made);
      if (kept.size > servedObjectsKeptMax) {
        for (const oldest of kept.keys()) {
          kept.delete(oldest);
          break;
        }
      }
      return made;
    },
  };
}

/** An object served from no store: synthesized, or of another version than the stored one. */
export function serve(object: ApiObject): ServedObject {
  let json: Uint8Array | undefined;
  const lines = new Map<WatchEventType, Uint8Array>();
  const toJson = (): Uint8Array => (json ??= utf8(JSON.stringify(object)));
  return {
    object,
    json: toJson,
    watchLine(type) {
      let line = lines.get(type);
      if (line === undefined) {
        line = concatBytes([utf8(`{"type":"${type}","object":`), toJson(), utf8('}\n')]);
        lines.set(type, line);
      }
      return line;
    },
  };
}
