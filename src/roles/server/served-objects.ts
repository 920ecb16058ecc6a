/**
 * Stored objects as they are served, made once and shared by all readers: the
 * folded object, its JSON, its lines in watches.
 *
 * Invariants:
 * 1. At most `servedObjectsKeptMax` are kept, those that were made last.
 * 2. What is handed out is shared: nobody changes it.
 */
import { concatBytes, utf8 } from '#base/mod.ts';
import { type ApiObject, foldObject, type ResourceDefinition } from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { servedObjectsKeptMax } from './limits.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One line of a watch: bytes for who is on the other end of a connection, else the event. */
export interface WatchLine {
  /** About that of the line, the same at every look. */
  readonly sizeBytes: number;
  bytes(): Uint8Array;
  /** Undefined where a client of this process takes no such lines: tables and parts of objects. */
  readonly event: { readonly type: string; readonly object: ApiObject } | undefined;
}

export interface ServedObject {
  readonly object: ApiObject;
  /** The JSON of `object`, made anew at every call. */
  text(): string;
  /** The same as bytes, kept for the next reader: of lists, and of watches by many. */
  json(): Uint8Array;
  watchLine(type: WatchEventType): WatchLine;
}

export interface ServedObjects {
  of(definition: ResourceDefinition, stored: StoredObject): ServedObject;
}

export function createServedObjects(): ServedObjects {
  const kept = new Map<StoredObject, Served>();
  return {
    of(definition, stored) {
      const known = kept.get(stored);
      // A declared kind has several versions, and changes.
      if (known?.definition === definition) return known;
      const made = new Served(foldObject(definition, stored), sizeBytesOf(stored), definition);
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
  return new Served(object, undefined);
}

/** Of names and punctuation around what the facets say. */
const lineOverheadBytes = 200;

function sizeBytesOf({ facets }: StoredObject): number {
  let sizeBytes = lineOverheadBytes;
  for (const value of Object.values(facets)) sizeBytes += value.bytes.length;
  return sizeBytes;
}

class Served implements ServedObject {
  readonly object: ApiObject;
  /** By which it was folded, where it was. */
  readonly definition: ResourceDefinition | undefined;
  readonly #sizeBytes: number | undefined;
  readonly #lines: WatchLine[] = [];
  #json: Uint8Array | undefined;

  /** `sizeBytes`: about that of a line, where it is known without making one. */
  constructor(object: ApiObject, sizeBytes: number | undefined, definition?: ResourceDefinition) {
    this.object = object;
    this.#sizeBytes = sizeBytes;
    this.definition = definition;
  }

  text(): string {
    return JSON.stringify(this.object);
  }

  json(): Uint8Array {
    return (this.#json ??= utf8(this.text()));
  }

  watchLine(type: WatchEventType): WatchLine {
    const known = this.#lines.find((line) => line.event?.type === type);
    if (known !== undefined) return known;
    const sizeBytes = this.#sizeBytes ?? this.json().length + lineOverheadBytes;
    const line = new ServedLine(type, this, sizeBytes);
    this.#lines.push(line);
    return line;
  }
}

class ServedLine implements WatchLine {
  readonly event: { readonly type: WatchEventType; readonly object: ApiObject };
  readonly sizeBytes: number;
  readonly #served: ServedObject;
  #bytes: Uint8Array | undefined;

  constructor(type: WatchEventType, served: ServedObject, sizeBytes: number) {
    this.event = { type, object: served.object };
    this.#served = served;
    this.sizeBytes = sizeBytes;
  }

  bytes(): Uint8Array {
    return (this.#bytes ??= concatBytes([
      utf8(`{"type":"${this.event.type}","object":`),
      this.#served.json(),
      lineEnd,
    ]));
  }
}

const lineEnd = utf8('}\n');
