/**
 * What the agent itself remembers of a pod that it took up, in
 * `pods/<uid>/pod.json`. It is written before anything of the pod exists and
 * removed after everything of it is gone.
 */
import { isJsonObject, textOf, utf8 } from '#base/mod.ts';
import type { PodReport } from '#platform/api/mod.ts';
import type { Disk, Logger } from '#platform/io/mod.ts';
import type { ObjectKey } from '#platform/store/mod.ts';

export interface PodRecord {
  readonly key: ObjectKey;
  readonly uid: string;
  readonly ip: string;
  /** When this node took it up. */
  readonly startedAtMs: number;
  /** The last report that was put into the outbox. */
  readonly report?: PodReport;
}

const recordBytesMax = 1024 * 1024;
const ownerOnlyFolder = 0o700;

export async function writePodRecord(disk: Disk, record: PodRecord): Promise<void> {
  await disk.makeDirectory(`pods/${record.uid}`, ownerOnlyFolder);
  const bytes = utf8(`${JSON.stringify(record)}\n`);
  await disk.writeFileAtomic(`pods/${record.uid}/pod.json`, bytes, 0o600);
}

/** All pods that an earlier agent took up, by uid. A damaged record is told and left alone. */
export async function readPodRecords(disk: Disk, logger: Logger): Promise<Map<string, PodRecord>> {
  const records = new Map<string, PodRecord>();
  for (const entry of await disk.list('pods')) {
    if (entry.kind !== 'directory') continue;
    const bytes = await disk.readFile(`pods/${entry.name}/pod.json`, recordBytesMax);
    const record = bytes === undefined ? undefined : parseRecord(bytes);
    if (record?.uid === entry.name) records.set(entry.name, record);
    else logger.log('warn', 'a pod folder has no readable record', { folder: entry.name });
  }
  return records;
}

function parseRecord(bytes: Uint8Array): PodRecord | undefined {
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    if (!isJsonObject(value) || !isJsonObject(value['key'])) return undefined;
    const isWhole = typeof value['uid'] === 'string' && typeof value['ip'] === 'string';
    return isWhole && typeof value['startedAtMs'] === 'number'
      ? (value as unknown as PodRecord)
      : undefined;
  } catch {
    return undefined;
  }
}
