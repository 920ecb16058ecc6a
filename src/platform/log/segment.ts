/**
 * One segment as memory knows it: where each of its records starts and which
 * chain each has (40 bytes a record), so that reading from a sequence and naming
 * a cursor need no search on disk.
 */
import { assert } from '#base/mod.ts';
import { chainBytes, headerBytes, segmentName, setChain } from './format.ts';

export const logFolder = 'log';

export class Segment {
  readonly path: string;
  readonly firstSequence: number;
  /** Of the record before the first one. */
  readonly previousChain: Uint8Array;
  sizeBytes = headerBytes;
  readonly #offsets: number[] = [];
  #chains = new Uint8Array(chainBytes * 64);

  constructor(firstSequence: number, previousChain: Uint8Array) {
    this.path = `${logFolder}/${segmentName(firstSequence)}`;
    this.firstSequence = firstSequence;
    this.previousChain = previousChain.slice();
  }

  /** firstSequence - 1 while it is empty. */
  get lastSequence(): number {
    return this.firstSequence + this.#offsets.length - 1;
  }

  add(offset: number, chain: Uint8Array): void {
    const at = this.#placeOfNext();
    this.#chains.set(chain, at);
    this.#offsets.push(offset);
  }

  /** The same for a chain in hexadecimal. */
  addHash(offset: number, chainHash: string): void {
    const at = this.#placeOfNext();
    setChain(this.#chains, at, chainHash);
    this.#offsets.push(offset);
  }

  /** Makes room for one chain more. */
  #placeOfNext(): number {
    const at = this.#offsets.length * chainBytes;
    if (at === this.#chains.length) {
      const grown = new Uint8Array(at * 2);
      grown.set(this.#chains);
      this.#chains = grown;
    }
    return at;
  }

  offsetOf(sequence: number): number {
    const offset = this.#offsets[sequence - this.firstSequence];
    assert(offset !== undefined, 'the segment holds the record');
    return offset;
  }

  /** A view; also answers for the record before the first one. */
  chainAt(sequence: number): Uint8Array {
    if (sequence === this.firstSequence - 1) return this.previousChain;
    assert(
      sequence >= this.firstSequence && sequence <= this.lastSequence,
      'the segment holds the record',
    );
    const at = (sequence - this.firstSequence) * chainBytes;
    return this.#chains.subarray(at, at + chainBytes);
  }
}
