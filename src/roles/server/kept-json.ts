/**
 * The JSON of objects that lists have shown, for the next list: making it is what a list of
 * many objects costs, and most of them are as they were.
 *
 * Invariants:
 * 1. Of each object one version is kept, the one that a list has shown last.
 * 2. What is kept has at most `listedJsonBytesMax` bytes; what was made first goes first.
 */
import type { ResourceDefinition } from '#platform/api/mod.ts';
import { keyText, type StoredObject } from '#platform/store/mod.ts';
import { listedJsonBytesMax } from './limits.ts';

interface Kept {
  readonly definition: ResourceDefinition;
  readonly stored: StoredObject;
  readonly json: Uint8Array;
}

export class KeptJson {
  readonly #kept = new Map<string, Kept>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = listedJsonBytesMax) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `make` is called where this version, in this form, is not kept. */
  of(definition: ResourceDefinition, stored: StoredObject, make: () => Uint8Array): Uint8Array {
    const text = keyText(stored.key);
    const known = this.#kept.get(text);
    if (known?.stored === stored && known.definition === definition) return known.json;
    const json = make();
    this.#forget(text, known);
    this.#kept.set(text, { definition, stored, json });
    this.#bytes += json.length;
    for (const [oldest, kept] of this.#kept) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#forget(oldest, kept);
    }
    return json;
  }

  #forget(text: string, kept: Kept | undefined): void {
    if (kept === undefined) return;
    this.#kept.delete(text);
    this.#bytes -= kept.json.length;
  }
}
