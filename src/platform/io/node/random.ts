/** Cryptographic randomness from the system. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { assert } from '#base/mod.ts';
import type { Random } from '../random.ts';

export function createNodeRandom(): Random {
  return {
    bytes: (count) => new Uint8Array(randomBytes(count)),
    unit: () => {
      const bytes = randomBytes(8);
      // 53 random bits: every value is equally likely and below one.
      return ((bytes.readUInt32BE(0) >>> 5) * 2 ** 26 + (bytes.readUInt32BE(4) >>> 6)) / 2 ** 53;
    },
    below: (bound) => {
      assert(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 31, 'a bound is 1 to 2^31');
      return randomInt(bound);
    },
    uuid: () => randomUUID(),
  };
}
