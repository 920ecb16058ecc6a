/**
 * Any disk, with faults that a test switches on: syncs that fail, and a limit to
 * the bytes that may still be written. A write beyond the limit leaves its first
 * part behind, as a full file system does.
 */
import { concatBytes } from '#base/mod.ts';
import { type Disk, DiskError, type DiskFile } from '#platform/io/mod.ts';

export interface FailingDisk {
  readonly disk: Disk;
  /** This many of the next syncs of files fail. */
  failSyncs: number;
  /** Bytes that may still be written; undefined for no limit. */
  roomBytes: number | undefined;
}

export function failingDisk(inner: Disk): FailingDisk {
  const faults = { failSyncs: 0, roomBytes: undefined as number | undefined };
  const taken = (wanted: number): number => {
    if (faults.roomBytes === undefined) return wanted;
    const granted = Math.min(wanted, faults.roomBytes);
    faults.roomBytes -= granted;
    return granted;
  };
  const wrapped = (file: DiskFile): DiskFile => ({
    sizeBytes: () => file.sizeBytes(),
    readAt: (offset, lengthBytes) => file.readAt(offset, lengthBytes),
    truncate: (lengthBytes) => file.truncate(lengthBytes),
    close: () => file.close(),
    async writeAt(offset, parts) {
      const bytes = concatBytes(parts);
      const granted = taken(bytes.length);
      await file.writeAt(offset, [bytes.subarray(0, granted)]);
      if (granted < bytes.length) throw noSpace();
    },
    async sync() {
      if (faults.failSyncs > 0) {
        faults.failSyncs -= 1;
        throw new DiskError('DISK_IO', 'the disk failed to sync (injected)');
      }
      await file.sync();
    },
  });
  const disk: Disk = {
    open: async (path, mode, permissions) => wrapped(await inner.open(path, mode, permissions)),
    async writeFileAtomic(path, bytes, permissions) {
      if (taken(bytes.length) < bytes.length) throw noSpace();
      await inner.writeFileAtomic(path, bytes, permissions);
    },
    readFile: (path, maxBytes) => inner.readFile(path, maxBytes),
    list: (path) => inner.list(path),
    makeDirectory: (path, permissions) => inner.makeDirectory(path, permissions),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncDirectory: (path) => inner.syncDirectory(path),
    freeBytes: () => inner.freeBytes(),
    absolute: (path) => inner.absolute(path),
    within: () => {
      throw new Error('faults are switched on for one folder, not for views of it');
    },
  };
  return Object.assign(faults, { disk });
}

function noSpace(): DiskError {
  return new DiskError('DISK_NO_SPACE', 'no space is left on the disk (injected)', {
    retryable: true,
  });
}
