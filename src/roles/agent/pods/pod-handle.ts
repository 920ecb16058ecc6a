/**
 * What the parts of a pod's life share: its record on disk, its voice, its alarm.
 *
 * Invariants:
 * 1. A record is on disk before it counts, but for what lets a pod end (`keepWhenRoom`):
 *    a disk without room holds up no end, which may be what makes room. Such a decision
 *    counts at once, and an agent that dies before there is room forgets it: the next one
 *    decides anew.
 * 2. An event that cannot be kept is lost, as the log says, and holds nothing up.
 */
import { assert, errorText, type JsonObject } from '#base/mod.ts';
import type { PodReport } from '#platform/api/mod.ts';
import { type Clock, type Disk, DiskError, type Logger } from '#platform/io/mod.ts';
import type { EntryPosition, Outbox } from '#platform/sync/mod.ts';
import type { DesiredPod } from './desired-pod.ts';
import { writePodRecord, type PodRecord } from './pod-record.ts';

export interface PodHandleDependencies {
  readonly disk: Disk;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
}

const roomLookAfterMs = 5_000;

export class PodHandle {
  readonly uid: string;
  readonly #dependencies: PodHandleDependencies;
  readonly #lookAgainIn: (delayMs: number) => void;
  #record: PodRecord | undefined;
  /** What counts is not on disk, for want of room. */
  #isAhead = false;

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
    this.#isAhead = false;
  }

  /** As `keep`, but counts also where the disk has no room: then it is written when there is. */
  async keepWhenRoom(record: PodRecord): Promise<void> {
    try {
      await this.keep(record);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'DISK_NO_SPACE')) throw error;
      this.#record = record;
      this.#isAhead = true;
      this.#lookAgainIn(roomLookAfterMs);
    }
  }

  /** Writes what counts and is not on disk, where there is room now. */
  async catchUp(): Promise<void> {
    if (this.#isAhead) await this.keepWhenRoom(this.record);
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
    const { outbox, clock, logger } = this.#dependencies;
    try {
      await outbox.put({
        type: 'event',
        regarding: { key: desired.key, uid: desired.uid, kind: 'Pod' },
        severity,
        reason,
        message,
        atWallMs: clock.wallMs(),
      });
    } catch (error) {
      const fields = { podUid: this.uid, reason, message, error: errorText(error) };
      logger.log('warn', 'an event could not be kept', fields);
    }
  }
}
