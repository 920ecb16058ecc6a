/** All objects as blocks of a snapshot: a run of encoded objects to a block. */
import type { LogSnapshot } from '#platform/log/mod.ts';
import { decodeObject, encodeObject, Reader, Writer } from './record.ts';
import type { StoredObject } from './types.ts';

const blockBytes = 64 * 1024;

/** Encodes as it is read, so that a large store is never in memory twice. */
export function* snapshotBlocks(
  objects: readonly StoredObject[],
  createdWallMs: (object: StoredObject) => number,
  onBlock: (sizeBytes: number) => void,
): Generator<Uint8Array> {
  const writer = new Writer();
  for (const object of objects) {
    encodeObject(writer, object, createdWallMs(object));
    if (writer.length < blockBytes) continue;
    onBlock(writer.length);
    yield writer.written().slice();
    writer.reset();
  }
  if (writer.length === 0) return;
  onBlock(writer.length);
  yield writer.written().slice();
}

/** Throws LogDamagedError from the blocks, and RangeError for what no version wrote. */
export async function* readSnapshot(
  snapshot: LogSnapshot,
): AsyncGenerator<{ readonly object: StoredObject; readonly createdWallMs: number }> {
  for await (const block of snapshot.blocks()) {
    const reader = new Reader(block);
    while (!reader.isAtEnd) yield decodeObject(reader);
  }
}
