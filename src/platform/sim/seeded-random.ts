/**
 * Random streams from a seed. Every subsystem of every host has a stream of its
 * own, named, so that one more draw in one of them does not move the others.
 *
 * The generator is xoshiro128**, over 32-bit integers only, so that every machine
 * draws the same. Its state comes from SHA-256 of the seed and the stream's name.
 */
import { hash } from 'node:crypto';
import { assert, hexOf } from '#base/mod.ts';
import type { Random } from '#platform/io/mod.ts';

export interface SeededRandom extends Random {
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  /** One of the items; there must be one. */
  pick<Item>(items: readonly Item[]): Item;
}

/** The stream `name` of the world `seed`; the same arguments give the same draws. */
export function seededRandom(seed: number, name: string): SeededRandom {
  const digest = hash('sha256', `selvage-sim ${seed} ${name}`, 'buffer');
  const words = new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
  let a = words.getUint32(0);
  let b = words.getUint32(4);
  let c = words.getUint32(8);
  // One bit is set for certain: an all-zero state would stay zero.
  let d = words.getUint32(12) | 1;

  const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };

  const unit = (): number => ((next() >>> 5) * 67_108_864 + (next() >>> 6)) / 9_007_199_254_740_992;
  const below = (bound: number): number => {
    assert(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 31, 'a bound from 1 to 2^31');
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let drawn = next();
    while (drawn >= limit) drawn = next();
    return drawn % bound;
  };
  const bytes = (count: number): Uint8Array => {
    const drawn = new Uint8Array(count);
    for (let index = 0; index < count; index += 4) {
      const word = next();
      for (let part = 0; part < 4 && index + part < count; part += 1) {
        drawn[index + part] = (word >>> (part * 8)) & 0xff;
      }
    }
    return drawn;
  };

  return {
    unit,
    below,
    bytes,
    between: (low, high) => low + unit() * (high - low),
    chance: (probability) => unit() < probability,
    pick: (items) => {
      const item = items[below(items.length)];
      assert(item !== undefined, 'something to pick from');
      return item;
    },
    uuid: () => {
      const id = bytes(16);
      id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
      id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
      const text = hexOf(id);
      return [
        text.slice(0, 8),
        text.slice(8, 12),
        text.slice(12, 16),
        text.slice(16, 20),
        text.slice(20),
      ].join('-');
    },
  };
}
