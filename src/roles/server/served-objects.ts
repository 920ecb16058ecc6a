/**
 * Stored objects as they are served, made once and shared by all readers: the
 * folded object, its JSON, its lines in watches.
 *
 * Who set which of its fields is shown to clients outside, and made when one asks:
 * parts of the server have no use for it.
 *
 * Invariants:
 * 1. At most `servedObjectsKeptMax` are kept, those that were made last; of what goes
 *    the store keeps bytes only, but of kinds that the hub reads all the time.
 *    The JSON that lists have shown is kept for longer (kept-json.ts).
 * 2. What is handed out is shared: nobody changes it.
 */
import { assert, concatBytes, utf8 } from '#base/mod.ts';
import {
  type ApiObject,
  foldObject,
  managedFieldsOfStored,
  managedFieldsTextOf,
  type ResourceDefinition,
} from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { KeptJson } from './kept-json.ts';
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
  /** Without `metadata.managedFields`. */
  readonly object: ApiObject;
  /** With them, where somebody is known to have set any. */
  whole(): ApiObject;
  /** The JSON of the whole object, made anew at every call. */
  text(): string;
  /** The same as bytes, kept with this for the next reader. */
  json(): Uint8Array;
  watchLine(type: WatchEventType): WatchLine;
}

export interface ServedObjects {
  of(definition: ResourceDefinition, stored: StoredObject): ServedObject;
  /** `json()` of what a list shows. */
  listedJson(served: ServedObject): Uint8Array;
}

export function createServedObjects(): ServedObjects {
  const kept = new Map<StoredObject, Served>();
  const listed = new KeptJson();
  return {
    of(definition, stored) {
      const known = kept.get(stored);
      // A declared kind has several versions, and changes.
      if (known?.source?.definition === definition) return known;
      const made = new Served(undefined, { definition, stored });
      kept.set(stored, made);
      if (kept.size > servedObjectsKeptMax) {
        for (const oldest of kept.keys()) {
          kept.delete(oldest);
          forgetDecoded(oldest);
          break;
        }
      }
      return made;
    },
    listedJson(served) {
      const source = served instanceof Served ? served.source : undefined;
      if (source === undefined) return served.json();
      return listed.of(source.definition, source.stored, () => served.json());
    },
  };
}

const readByHub = ['pods', 'nodes'];

function forgetDecoded({ key, facets }: StoredObject): void {
  if (readByHub.includes(key.resource)) return;
  for (const value of Object.values(facets)) {
    if (value.decoded !== undefined) value.decoded = undefined;
  }
}

export interface ServedSource {
  readonly definition: ResourceDefinition;
  readonly stored: StoredObject;
}

/** `source` is absent where the object is in no store, or is served as no store has it. */
export function serve(object: ApiObject, source?: ServedSource): ServedObject {
  return new Served(object, source);
}

/** Of names and punctuation around what the facets say. */
const lineOverheadBytes = 200;

function sizeBytesOf({ facets }: StoredObject): number {
  let sizeBytes = lineOverheadBytes;
  for (const { bytes, note } of Object.values(facets)) {
    sizeBytes += bytes.length + (note?.length ?? 0);
  }
  return sizeBytes;
}

class Served implements ServedObject {
  /** What it is folded from, where it is. */
  readonly source: ServedSource | undefined;
  #object: ApiObject | undefined;
  readonly #lines: WatchLine[] = [];
  #json: Uint8Array | undefined;

  constructor(object: ApiObject | undefined, source: ServedSource | undefined) {
    this.#object = object;
    this.source = source;
  }

  /** Folded when first asked for: a list whose JSON is kept has no use for it. */
  get object(): ApiObject {
    if (this.#object !== undefined) return this.#object;
    assert(this.source !== undefined, 'what is not folded yet has a source');
    this.#object = foldObject(this.source.definition, this.source.stored);
    return this.#object;
  }

  whole(): ApiObject {
    const source = this.source;
    if (source === undefined) return this.object;
    const managedFields = managedFieldsOfStored(source.definition, source.stored);
    if (managedFields.length === 0) return this.object;
    return { ...this.object, metadata: { ...this.object.metadata, managedFields } };
  }

  text(): string {
    const source = this.source;
    const owners =
      source === undefined ? '' : managedFieldsTextOf(source.definition, source.stored);
    if (owners === '') return JSON.stringify(this.object);
    // Put into the text of the metadata, so that none of it is parsed or copied for it.
    const { apiVersion, kind, metadata, ...rest } = this.object;
    const head = JSON.stringify({ apiVersion, kind, metadata }).slice(0, -2);
    const body = JSON.stringify(rest).slice(1);
    return `${head},"managedFields":${owners}}${body === '}' ? body : `,${body}`}`;
  }

  json(): Uint8Array {
    return (this.#json ??= utf8(this.text()));
  }

  watchLine(type: WatchEventType): WatchLine {
    const known = this.#lines.find((line) => line.event?.type === type);
    if (known !== undefined) return known;
    const source = this.source;
    const sizeBytes =
      source === undefined ? this.json().length + lineOverheadBytes : sizeBytesOf(source.stored);
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
