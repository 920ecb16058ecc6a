/** A disk in front of a disk, whose files sync in another way. */
import type { Disk, DiskFile } from '#platform/io/mod.ts';

type Sync = (sync: () => Promise<void>) => Promise<void>;

export function diskWithSync(disk: Disk, sync: Sync): Disk {
  const file = (opened: DiskFile): DiskFile => ({
    sizeBytes: () => opened.sizeBytes(),
    readAt: (offset, lengthBytes) => opened.readAt(offset, lengthBytes),
    writeAt: (offset, parts) => opened.writeAt(offset, parts),
    sync: () => sync(() => opened.sync()),
    truncate: (lengthBytes) => opened.truncate(lengthBytes),
    close: () => opened.close(),
  });
  return {
    open: async (path, mode, permissions) => file(await disk.open(path, mode, permissions)),
    readFile: (path, maxBytes) => disk.readFile(path, maxBytes),
    writeFileAtomic: (path, bytes, permissions) => disk.writeFileAtomic(path, bytes, permissions),
    list: (path) => disk.list(path),
    makeDirectory: (path, permissions) => disk.makeDirectory(path, permissions),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: () => disk.freeBytes(),
    absolute: (path) => disk.absolute(path),
    within: (path) => diskWithSync(disk.within(path), sync),
  };
}
