/**
 * Joins two connections into one: what comes out of either goes into the other, from
 * now on, also of one that was held back.
 *
 * Invariants:
 * 1. A side that ends its direction ends it at the other side, after all that it
 *    sent; the other direction goes on.
 * 2. At most `bufferedBytesMax` and what arrives in one go wait for a slow reader;
 *    its sender is not read from meanwhile.
 * 3. When one side is closed for good, so is the other.
 */
import type { PlainConnection } from '#platform/io/mod.ts';

const bufferedBytesMax = 256 * 1024;

export function splice(near: PlainConnection, far: PlainConnection): void {
  passOn(near, far);
  passOn(far, near);
  near.resume();
  far.resume();
}

function passOn(from: PlainConnection, to: PlainConnection): void {
  from.onData((bytes) => {
    to.write(bytes);
    if (to.bufferedBytes() > bufferedBytesMax) from.pause();
  });
  to.onDrain(() => from.resume());
  from.onEnd(() => to.end());
  from.onClose((error) => {
    if (error === undefined) to.end();
    else to.destroy();
  });
}
