/**
 * What the agent itself remembers of a pod that it took up, in
 * `pods/<uid>/pod.json`. It is written before anything of the pod exists and
 * removed after everything of it is gone.
 */
import { assert, isJsonObject } from '#base/mod.ts';
import type { PodReport } from '#platform/api/mod.ts';
import type { Disk, Logger } from '#platform/io/mod.ts';
import type { ContainerRun } from '../runtimes/types.ts';
import { parseSealed, sealedJson } from '../sealed-json.ts';
import { readOrSetAside } from '../set-aside.ts';
import type { ObjectKey } from '#platform/store/mod.ts';
import type { EntryPosition } from '#platform/sync/mod.ts';

export interface BackOffRecord {
  readonly failuresInRow: number;
  /** The run whose end was counted last. */
  readonly endedRunId: string;
  /** On the boot clock; of an earlier boot it means no more than a wait of the usual length. */
  readonly retryAtBootMs: number;
  /** That run is ended for another image: the next one comes whatever the pod's policy. */
  readonly isReplaced?: true;
}

/** Which hooks were begun for which run: none is begun a second time. */
export interface HookRecord {
  readonly postStart?: string;
  readonly preStop?: string;
}

export interface PodRecord {
  readonly key: ObjectKey;
  readonly uid: string;
  readonly ip: string;
  /** When this node took it up. */
  readonly startedAtMs: number;
  /** The last report that was put into the outbox. */
  readonly report?: PodReport;
  /** Where it was put. */
  readonly reportedAt?: EntryPosition;
  /** By container: what the waits before its restarts go on from. */
  readonly backOff?: Readonly<Record<string, BackOffRecord>>;
  /** By container. */
  readonly hooks?: Readonly<Record<string, HookRecord>>;
  /** All its init containers have completed: they never run again. */
  readonly isInitialized?: true;
  /** Why the pod was ended for good by this node. */
  readonly failure?: PodFailure;
}

export interface PodFailure {
  /** One word, as `DeadlineExceeded`. */
  readonly reason: string;
  readonly message: string;
}

const recordBytesMax = 1024 * 1024;
const ownerOnlyFolder = 0o700;

export async function writePodRecord(disk: Disk, record: PodRecord): Promise<void> {
  await disk.makeDirectory(`pods/${record.uid}`, ownerOnlyFolder);
  await disk.writeFileAtomic(`pods/${record.uid}/pod.json`, sealedJson(record), 0o600);
}

/**
 * All pods that an earlier agent took up, by uid. A damaged record is set aside and,
 * where containers of the pod are known, made anew from them. Undefined: the folder
 * is all that there is.
 */
export async function readPodRecords(
  disk: Disk,
  logger: Logger,
  runs: readonly ContainerRun[],
): Promise<Map<string, PodRecord | undefined>> {
  const records = new Map<string, PodRecord | undefined>();
  for (const { name, kind } of await disk.list('pods')) {
    if (kind !== 'directory' || !/^[A-Za-z0-9-]{1,64}$/.test(name)) continue;
    const path = `pods/${name}/pod.json`;
    let record = await readOrSetAside(disk, path, recordBytesMax, logger, (bytes) =>
      parseRecord(bytes, name),
    );
    const own = runs.filter(({ podUid }) => podUid === name);
    if (record === undefined && own.length > 0) {
      record = recordOf(own);
      await writePodRecord(disk, record);
    }
    records.set(name, record);
  }
  return records;
}

function recordOf(runs: readonly ContainerRun[]): PodRecord {
  const [first] = runs;
  assert(first !== undefined, 'there is a run to make a record from');
  return {
    key: { resource: 'pods', namespace: first.podNamespace, name: first.podName },
    uid: first.podUid,
    ip: first.ip,
    startedAtMs: Math.min(...runs.map(({ startedAtMs }) => startedAtMs)),
  };
}

function parseRecord(bytes: Uint8Array, uid: string): PodRecord | undefined {
  const value = parseSealed(bytes);
  if (!isJsonObject(value) || !isJsonObject(value['key'])) return undefined;
  const isWhole = value['uid'] === uid && typeof value['ip'] === 'string';
  const isShaped = ['report', 'reportedAt', 'backOff', 'hooks', 'failure'].every(
    (field) => value[field] === undefined || isJsonObject(value[field]),
  );
  return isWhole && isShaped && typeof value['startedAtMs'] === 'number'
    ? (value as unknown as PodRecord)
    : undefined;
}
