/**
 * A copy of a log as files, for a backup: its identity, the snapshot that stands for
 * all records up to one sequence, and an empty segment that goes on from there. Put
 * into a folder these open as the same history, at that sequence.
 */
import { utf8 } from '#base/mod.ts';
import type { Disk, DiskFile } from '../io/mod.ts';
import { encodeHeader, firstChain, segmentMagic } from './format.ts';
import { incarnationsFile, incarnationsPath } from './incarnations.ts';
import { identityPath, identityText } from './recovery.ts';
import { Segment } from './segment.ts';
import type { SnapshotFile } from './snapshot.ts';

const readBytes = 256 * 1024;

/** One file of a copy: `path` is where it belongs; read once, then closed by itself. */
export interface CopiedFile {
  readonly path: string;
  readonly sizeBytes: number;
  read(): AsyncIterable<Uint8Array>;
}

/** A file that is open already, so that nobody can take it away meanwhile. */
export function copyOfFile(path: string, file: DiskFile, sizeBytes: number): CopiedFile {
  return {
    path,
    sizeBytes,
    async *read() {
      try {
        for (let offset = 0; offset < sizeBytes;) {
          const bytes = await file.readAt(offset, Math.min(readBytes, sizeBytes - offset));
          if (bytes.length === 0) throw new Error(`${path} has become shorter while it was copied`);
          offset += bytes.length;
          yield bytes;
        }
      } finally {
        await file.close();
      }
    },
  };
}

export function copyOfBytes(path: string, bytes: Uint8Array): CopiedFile {
  return {
    path,
    sizeBytes: bytes.length,
    async *read() {
      yield bytes;
    },
  };
}

/** `snapshot` undefined: of a log without records. */
export async function copyOfLog(
  disk: Disk,
  incarnation: Uint8Array,
  incarnations: readonly string[],
  snapshot: SnapshotFile | undefined,
): Promise<readonly CopiedFile[]> {
  const chain = snapshot?.chain ?? firstChain(incarnation);
  const segment = new Segment((snapshot?.sequence ?? 0) + 1, chain);
  const header = { sequence: segment.firstSequence, chain };
  const files = [
    copyOfBytes(identityPath, utf8(identityText(incarnation))),
    copyOfBytes(segment.path, encodeHeader(segmentMagic, incarnation, header)),
  ];
  if (incarnations.length > 1) {
    files.push(copyOfBytes(incarnationsPath, incarnationsFile(incarnations)));
  }
  if (snapshot !== undefined) {
    const file = await disk.open(snapshot.path, 'read');
    files.push(copyOfFile(snapshot.path, file, await file.sizeBytes()));
  }
  return files;
}
