/**
 * A disk whose syncs are timed and whose bytes are counted, for whoever writes
 * through it and need not know.
 */
import type { Clock, Disk, DiskFile } from '#platform/io/mod.ts';
import type { Metrics } from './types.ts';

/** From a fast solid-state disk's sync to a memory card that stalls. */
const syncSecondsBounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** `part` says whose disk it is: a value of the label. */
export function measuredDisk(disk: Disk, part: string, metrics: Metrics, clock: Clock): Disk {
  const syncSeconds = metrics.histogram(
    'selvage_disk_sync_duration_seconds',
    'How long syncs of files took, by whose files they were.',
    syncSecondsBounds,
    ['part'],
  )(part);
  const writtenBytes = metrics.counter(
    'selvage_disk_written_bytes_total',
    'Bytes written into files, by whose files they were.',
    ['part'],
  )(part);
  const failures = metrics.counter(
    'selvage_disk_failures_total',
    'Writes and syncs that the disk refused, by whose files they were.',
    ['part'],
  )(part);

  async function counted<Result>(call: Promise<Result>): Promise<Result> {
    try {
      return await call;
    } catch (error) {
      failures.add();
      throw error;
    }
  }

  function measuredFile(file: DiskFile): DiskFile {
    return {
      sizeBytes: () => file.sizeBytes(),
      readAt: (offset, lengthBytes) => file.readAt(offset, lengthBytes),
      writeAt(offset, parts) {
        for (const bytes of parts) writtenBytes.add(bytes.length);
        return counted(file.writeAt(offset, parts));
      },
      async sync() {
        const startedAtMs = clock.monotonicMs();
        await counted(file.sync());
        syncSeconds.observe((clock.monotonicMs() - startedAtMs) / 1000);
      },
      truncate: (lengthBytes) => file.truncate(lengthBytes),
      close: () => file.close(),
    };
  }

  const measured = (inner: Disk): Disk => ({
    open: async (path, mode, permissions) =>
      measuredFile(await inner.open(path, mode, permissions)),
    readFile: (path, maxBytes) => inner.readFile(path, maxBytes),
    writeFileAtomic(path, bytes, permissions) {
      writtenBytes.add(bytes.length);
      return counted(inner.writeFileAtomic(path, bytes, permissions));
    },
    list: (path) => inner.list(path),
    makeDirectory: (path, permissions) => inner.makeDirectory(path, permissions),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncDirectory: (path) => inner.syncDirectory(path),
    freeBytes: () => inner.freeBytes(),
    absolute: (path) => inner.absolute(path),
    within: (path) => measured(inner.within(path)),
  });
  return measured(disk);
}
