/**
 * The frames that go to disk together, in one piece of memory that is used again
 * for later batches. Two of them take turns: one fills while the other is written.
 */
import { assert } from '#base/mod.ts';
import { beginFrame, frameHeaderBytes, stampFrame, viewOf } from './format.ts';
import type { AppendOutcome } from './types.ts';

export interface PendingAppend {
  readonly sequence: number;
  /** Within the batch. */
  readonly offset: number;
  readonly sizeBytes: number;
  readonly chainHash: string;
  readonly settled: (outcome: AppendOutcome) => void;
}

const startBytes = 64 * 1024;
/** Memory above this is given back after one use. */
const keptBytesMax = 1024 * 1024;

export class Batch {
  sizeBytes = 0;
  appends: PendingAppend[] = [];
  #bytes = new Uint8Array(startBytes);
  #view = viewOf(this.#bytes);

  /** Copies the payload and returns the chain of its record, in hexadecimal as all here. */
  add(
    payload: Uint8Array,
    sequence: number,
    previousChainHash: string,
    settled: (outcome: AppendOutcome) => void,
  ): string {
    const offset = this.sizeBytes;
    const sizeBytes = frameHeaderBytes + payload.length;
    this.#reserve(offset + sizeBytes);
    this.#bytes.set(payload, offset + frameHeaderBytes);
    const record = { payloadBytes: payload.length, sequence, previousChainHash };
    const chainHash = beginFrame(this.#bytes, this.#view, offset, record);
    this.appends.push({ sequence, offset, sizeBytes, chainHash, settled });
    this.sizeBytes = offset + sizeBytes;
    return chainHash;
  }

  /** The bytes to write, valid until `clear`. */
  stamped(durableThrough: number, seed: number): Uint8Array {
    for (const { offset, sizeBytes } of this.appends) {
      stampFrame(this.#bytes, this.#view, offset, { sizeBytes, durableThrough, seed });
    }
    return this.#bytes.subarray(0, this.sizeBytes);
  }

  clear(): void {
    this.appends = [];
    this.sizeBytes = 0;
    if (this.#bytes.length > keptBytesMax) this.#use(new Uint8Array(startBytes));
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#bytes.length) return;
    let length = this.#bytes.length;
    while (length < sizeBytes) length *= 2;
    const grown = new Uint8Array(length);
    grown.set(this.#bytes.subarray(0, this.sizeBytes));
    this.#use(grown);
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    assert(bytes.length >= this.sizeBytes, 'the batch fits');
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}
