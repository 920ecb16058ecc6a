/**
 * Changes of the store as lines of one watch.
 *
 * Invariant: a client that applies the lines in order holds exactly what is
 * selected: an object that enters the selection is ADDED, one that leaves it is
 * DELETED, whatever happened to the object itself.
 */
import { utf8 } from '#base/mod.ts';
import {
  apiVersionOf,
  type ApiObject,
  type IncludeObject,
  partialObjectMetadata,
  type ResourceDefinition,
  tableOf,
} from '#platform/api/mod.ts';
import type { ObjectEvent } from '#platform/store/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import type { Acceptance } from '../negotiation.ts';
import type { Selection } from '../selection.ts';
import {
  serve,
  type ServedObject,
  type WatchEventType,
  type WatchLine,
} from '../served-objects.ts';

export class WatchEncoder {
  readonly #parts: ServerParts;
  readonly #definition: ResourceDefinition;
  readonly #selection: Selection;
  readonly #form: Acceptance['form'];
  readonly #includeObject: IncludeObject;
  #columnsSent = false;

  constructor(
    parts: ServerParts,
    definition: ResourceDefinition,
    options: {
      readonly selection: Selection;
      readonly form: Acceptance['form'];
      readonly includeObject: IncludeObject;
    },
  ) {
    this.#parts = parts;
    this.#definition = definition;
    this.#selection = options.selection;
    this.#form = options.form;
    this.#includeObject = options.includeObject;
  }

  /** Undefined where the event concerns nothing that is selected. */
  event(event: ObjectEvent): WatchLine | undefined {
    const { served } = this.#parts;
    if (this.#selection.isEverything && event.type === 'put') {
      // Nothing enters or leaves: what it was before need not be looked at.
      const type = event.previous === undefined ? 'ADDED' : 'MODIFIED';
      return this.line(type, served.of(this.#definition, event.object));
    }
    const before =
      event.previous === undefined ? undefined : served.of(this.#definition, event.previous);
    const after = event.type === 'delete' ? undefined : served.of(this.#definition, event.object);
    const was = before !== undefined && this.#selection.matches(before.object);
    const is = after !== undefined && this.#selection.matches(after.object);
    if (is) return this.line(was ? 'MODIFIED' : 'ADDED', after);
    if (!was) return undefined;
    if (event.type === 'delete')
      return this.line('DELETED', served.of(this.#definition, event.object));
    // It left the selection: its last selected state, at the revision at which it left.
    const left: ApiObject = {
      ...before.object,
      metadata: { ...before.object.metadata, resourceVersion: String(event.object.revision) },
    };
    return this.line('DELETED', serve(left));
  }

  line(type: WatchEventType, served: ServedObject): WatchLine {
    if (this.#form === 'table') {
      return encoded(type, this.#table([served.object], served.object.metadata.resourceVersion));
    }
    if (this.#form === 'metadata') return new MetadataLine(type, served);
    return served.watchLine(type);
  }

  /** `markInitialEnd`: what was sent so far is everything that there was. */
  bookmark(revision: number, markInitialEnd: boolean): WatchLine {
    const resourceVersion = String(revision);
    if (this.#form === 'table') return encoded('BOOKMARK', this.#table([], resourceVersion));
    const annotations = markInitialEnd
      ? { annotations: { 'k8s.io/initial-events-end': 'true' } }
      : {};
    const isWhole = this.#form === 'object';
    const object = {
      kind: isWhole ? this.#definition.kind : 'PartialObjectMetadata',
      apiVersion: isWhole ? apiVersionOf(this.#definition) : 'meta.k8s.io/v1',
      metadata: { resourceVersion, creationTimestamp: null, ...annotations },
    };
    const line = encoded('BOOKMARK', object);
    if (!isWhole) return line;
    return { ...line, event: { type: 'BOOKMARK', object: object as unknown as ApiObject } };
  }

  #table(objects: readonly ApiObject[], resourceVersion: string | undefined): unknown {
    const table = tableOf(
      this.#definition,
      objects,
      this.#parts.clock.wallMs(),
      this.#includeObject,
      !this.#columnsSent,
      { resourceVersion: resourceVersion ?? '' },
    );
    this.#columnsSent = true;
    return table;
  }
}

/** Of an object without labels and annotations, about. */
const metadataLineBytes = 400;

/** By reference to who is in this process, and made into bytes for everybody else. */
class MetadataLine implements WatchLine {
  readonly event: { readonly type: WatchEventType; readonly object: ApiObject };
  readonly sizeBytes: number;
  readonly #served: ServedObject;

  constructor(type: WatchEventType, served: ServedObject) {
    const { labels, annotations } = served.object.metadata;
    const object = partialObjectMetadata(served.object) as unknown as ApiObject;
    this.event = { type, object };
    this.sizeBytes = metadataLineBytes + textLengthOf(labels) + textLengthOf(annotations);
    this.#served = served;
  }

  bytes(): Uint8Array {
    const shown = partialObjectMetadata(this.#served.whole());
    return utf8(`{"type":"${this.event.type}","object":${JSON.stringify(shown)}}\n`);
  }
}

function textLengthOf(texts: Readonly<Record<string, string>> | undefined): number {
  let length = 0;
  for (const [name, value] of Object.entries(texts ?? {})) length += name.length + value.length;
  return length;
}

function encoded(type: string, object: unknown): WatchLine {
  const bytes = utf8(`{"type":"${type}","object":${JSON.stringify(object)}}\n`);
  return { sizeBytes: bytes.length, bytes: () => bytes, event: undefined };
}
