/** What the parts of a pod's life share: its record on disk, its voice, its alarm. */
import { assert, type JsonObject } from '#base/mod.ts';
import type { PodReport } from '#platform/api/mod.ts';
import type { Clock, Disk } from '#platform/io/mod.ts';
import type { EntryPosition, Outbox } from '#platform/sync/mod.ts';
import type { DesiredPod } from './desired-pod.ts';
import { writePodRecord, type PodRecord } from './pod-record.ts';

export interface PodHandleDependencies {
  readonly disk: Disk;
  readonly outbox: Outbox;
  readonly clock: Clock;
}

export class PodHandle {
  readonly uid: string;
  readonly #dependencies: PodHandleDependencies;
  readonly #lookAgainIn: (delayMs: number) => void;
  #record: PodRecord | undefined;

  constructor(
    dependencies: PodHandleDependencies,
    uid: string,
    record: PodRecord | undefined,
    lookAgainIn: (delayMs: number) => void,
  ) {
    this.#dependencies = dependencies;
    this.#lookAgainIn = lookAgainIn;
    this.#record = record;
    this.uid = uid;
  }

  /** Undefined: this node has not taken it up. */
  get knownRecord(): PodRecord | undefined {
    return this.#record;
  }

  get record(): PodRecord {
    assert(this.#record !== undefined, 'the pod was taken up');
    return this.#record;
  }

  /** On disk before it counts. */
  async keep(record: PodRecord): Promise<void> {
    assert(record.uid === this.uid, 'a record of this pod');
    await writePodRecord(this.#dependencies.disk, record);
    this.#record = record;
  }

  /** Another pass after `delayMs`, or sooner. */
  lookAgainIn(delayMs: number): void {
    this.#lookAgainIn(delayMs);
  }

  async putReport(desired: DesiredPod, report: PodReport): Promise<EntryPosition> {
    return await this.#dependencies.outbox.put({
      type: 'report',
      key: desired.key,
      uid: desired.uid,
      report: JSON.parse(JSON.stringify(report)) as JsonObject,
    });
  }

  async event(
    desired: DesiredPod,
    severity: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): Promise<void> {
    const { outbox, clock } = this.#dependencies;
    await outbox.put({
      type: 'event',
      regarding: { key: desired.key, uid: desired.uid, kind: 'Pod' },
      severity,
      reason,
      message,
      atWallMs: clock.wallMs(),
    });
  }
}
