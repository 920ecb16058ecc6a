/**
 * Snapshots: what stands for every record up to one sequence. The blocks are the
 * caller's; the file adds the header of format.ts, a length and crc in front of
 * each block, and an end mark with the sha256 of all of them.
 *
 * Invariants:
 * 1. A snapshot has its name only when it is whole and on disk.
 * 2. A block reaches the reader only after its crc was right; a missing, moved or
 *    added block is found at the end mark at the latest.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert, equalBytes } from '#base/mod.ts';
import type { Disk, DiskFile } from '../io/mod.ts';
import { LogDamagedError } from './errors.ts';
import { crcSeed, decodeHeader, encodeHeader, headerBytes } from './format.ts';
import { snapshotMagic, snapshotName, viewOf, type Header } from './format.ts';
import { logFolder } from './segment.ts';

export const snapshotBlockBytesMax = 64 * 1024 * 1024;
const blockHeaderBytes = 8;
const digestBytes = 32;
const temporaryPath = `${logFolder}/snapshot.new`;

export interface SnapshotFile extends Header {
  readonly path: string;
}

export async function writeSnapshotFile(
  disk: Disk,
  incarnation: Uint8Array,
  header: Header,
  blocks: Iterable<Uint8Array>,
): Promise<SnapshotFile> {
  const path = `${logFolder}/${snapshotName(header.sequence)}`;
  const file = await disk.open(temporaryPath, 'write');
  try {
    await file.truncate(0);
    await writeBlocks(file, incarnation, header, blocks);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporaryPath, path);
  await disk.syncDirectory(logFolder);
  return { path, sequence: header.sequence, chain: header.chain.slice() };
}

/** What an interrupted or failed writer left behind. */
export async function removeTemporarySnapshot(disk: Disk): Promise<void> {
  await disk.remove(temporaryPath);
}

async function writeBlocks(
  file: DiskFile,
  incarnation: Uint8Array,
  header: Header,
  blocks: Iterable<Uint8Array>,
): Promise<void> {
  const seed = crcSeed(incarnation);
  const digest = createHash('sha256');
  let offset = headerBytes;
  await file.writeAt(0, [encodeHeader(snapshotMagic, incarnation, header)]);
  for (const block of blocks) {
    assert(block.length > 0 && block.length <= snapshotBlockBytesMax, 'a block is within limits');
    digest.update(block);
    await file.writeAt(offset, [blockHeader(block, seed), block]);
    offset += blockHeaderBytes + block.length;
  }
  const end = digest.digest();
  await file.writeAt(offset, [blockHeader(new Uint8Array(0), seed), end]);
}

function blockHeader(block: Uint8Array, seed: number): Uint8Array {
  const bytes = new Uint8Array(blockHeaderBytes);
  const view = viewOf(bytes);
  view.setUint32(0, block.length);
  view.setUint32(4, crc32(block, crc32(bytes.subarray(0, 4), seed)));
  return bytes;
}

/** Reads the header alone; throws LogDamagedError. */
export async function openSnapshotFile(
  disk: Disk,
  incarnation: Uint8Array,
  path: string,
): Promise<SnapshotFile> {
  const file = await disk.open(path, 'read');
  try {
    const bytes = await file.readAt(0, headerBytes);
    const header = decodeHeader(bytes, snapshotMagic, incarnation);
    if (header === undefined) {
      throw new LogDamagedError(path, 0, 'the header is not one of this log');
    }
    return { path, ...header };
  } finally {
    await file.close();
  }
}

export async function* readSnapshotBlocks(
  disk: Disk,
  incarnation: Uint8Array,
  path: string,
): AsyncGenerator<Uint8Array> {
  const damaged = (offset: number, reason: string): LogDamagedError =>
    new LogDamagedError(disk.absolute(path), offset, reason);
  const seed = crcSeed(incarnation);
  const digest = createHash('sha256');
  const file = await disk.open(path, 'read');
  try {
    const sizeBytes = await file.sizeBytes();
    let offset = headerBytes;
    for (;;) {
      const header = await file.readAt(offset, blockHeaderBytes);
      if (header.length < blockHeaderBytes) throw damaged(offset, 'it ends early');
      const lengthBytes = viewOf(header).getUint32(0);
      const start = offset + blockHeaderBytes;
      if (lengthBytes > snapshotBlockBytesMax || start + lengthBytes > sizeBytes) {
        throw damaged(offset, 'a block is longer than the file');
      }
      const block = await file.readAt(start, lengthBytes);
      if (!equalBytes(blockHeader(block, seed), header)) {
        throw damaged(offset, 'a block has changed');
      }
      if (lengthBytes === 0) {
        const end = await file.readAt(start, digestBytes);
        const isWhole = equalBytes(end, digest.digest()) && start + digestBytes === sizeBytes;
        if (!isWhole) throw damaged(start, 'the blocks are not those written');
        return;
      }
      digest.update(block);
      yield block;
      offset = start + lengthBytes;
    }
  } finally {
    await file.close();
  }
}
