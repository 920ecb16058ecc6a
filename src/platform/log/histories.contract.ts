/**
 * Random histories of one log with crashes at any moment, against a model: the
 * records that were sent, in order, and how many of them were acknowledged.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { textOf, utf8 } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import type { Log, LogOptions } from './types.ts';
import type { LogHarness } from './log.contract.ts';
import { filesOf, type LogMachine, openOn, putFiles } from './log-files.contract.ts';

const runsOnSimulatedDisk = 60;
const runsOnRealDisk = 15;
const options: LogOptions = { segmentBytesMax: 600 };

type Step =
  | { readonly type: 'append'; readonly count: number; readonly sizeBytes: number }
  | { readonly type: 'wait' }
  | { readonly type: 'snapshot' }
  | { readonly type: 'compact' }
  | { readonly type: 'reopen' }
  | { readonly type: 'crash'; readonly afterMs: number };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        type: fc.constant('append' as const),
        count: fc.integer({ min: 1, max: 6 }),
        sizeBytes: fc.integer({ min: 0, max: 200 }),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        type: fc.constantFrom(
          'wait' as const,
          'wait' as const,
          'snapshot' as const,
          'compact' as const,
          'reopen' as const,
        ),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('crash' as const),
        afterMs: fc.double({ min: 0, max: 6, noNaN: true }),
      }),
    },
  ),
  { minLength: 1, maxLength: 30 },
);

/** One log and its model. `sent[n]` is the payload of sequence n + 1. */
class History {
  #machine: LogMachine;
  #folder: string;
  #disk: Disk;
  #log: Log | undefined;
  #sent: string[] = [];
  #acknowledged = 0;
  #snapshotOf = 0;
  #work: Promise<unknown>[] = [];
  #copies = 0;
  #recordCount = 0;
  readonly #harness: LogHarness;

  constructor(harness: LogHarness, machine: LogMachine, folder: string) {
    this.#harness = harness;
    this.#machine = machine;
    this.#folder = folder;
    this.#disk = machine.disk.within(folder);
  }

  get machine(): LogMachine {
    return this.#machine;
  }

  async open(): Promise<Log> {
    if (this.#log !== undefined) return this.#log;
    await this.#disk.makeDirectory('');
    const log = await openOn(this.#machine, this.#disk, options);
    const head = log.head().sequence;
    assert.ok(head >= this.#acknowledged, `${this.#acknowledged} acknowledged, ${head} found`);
    assert.ok(head <= this.#sent.length, 'nothing is there that was never sent');
    const oldest = log.oldestSequence();
    assert.ok(oldest <= (log.latestSnapshot()?.sequence ?? 0) + 1, 'nothing is missing');
    const found: string[] = [];
    for await (const record of log.read(oldest)) found.push(textOf(record.payload));
    assert.deepEqual(found, this.#sent.slice(oldest - 1, head));
    const snapshot = log.latestSnapshot();
    assert.ok((snapshot?.sequence ?? 0) >= this.#snapshotOf, 'a finished snapshot stays');
    for await (const block of snapshot?.blocks() ?? []) {
      assert.equal(textOf(block), `snapshot of ${snapshot?.sequence}`);
    }
    this.#sent.length = head;
    this.#acknowledged = head;
    this.#log = log;
    return log;
  }

  async take(step: Step): Promise<void> {
    const log = await this.open();
    switch (step.type) {
      case 'append':
        for (let count = 0; count < step.count; count += 1) this.#append(log, step.sizeBytes);
        break;
      case 'wait':
        await Promise.all(this.#work);
        break;
      case 'snapshot':
        this.#snapshot(log);
        break;
      case 'compact':
        this.#work.push(log.compact(log.head().sequence));
        break;
      case 'reopen':
        await this.#settle();
        await log.close();
        this.#log = undefined;
        await this.open();
        break;
      case 'crash':
        await this.#crash(log, step.afterMs);
        await this.open();
        break;
    }
  }

  #append(log: Log, sizeBytes: number): void {
    const text = `${(this.#recordCount += 1)} ${'r'.repeat(sizeBytes)}`;
    const sequence = log.nextSequence();
    assert.equal(sequence, this.#sent.length + 1);
    this.#sent.push(text);
    const acknowledged = log.appendDurably(utf8(text)).then((told) => {
      assert.equal(told.sequence, sequence);
      this.#acknowledged = Math.max(this.#acknowledged, sequence);
    });
    this.#work.push(acknowledged);
  }

  #snapshot(log: Log): void {
    const { sequence } = log.head();
    if (sequence <= this.#snapshotOf) return;
    this.#snapshotOf = sequence;
    const wasOf = log.latestSnapshot()?.sequence ?? 0;
    const written = log.writeSnapshot(sequence, [utf8(`snapshot of ${sequence}`)]);
    this.#work.push(written);
    // Until it is written a crash may take it back.
    this.#unfinishedSnapshot = { wasOf };
    void written.then(() => {
      this.#unfinishedSnapshot = undefined;
    });
  }
  #unfinishedSnapshot: { readonly wasOf: number } | undefined;

  async #settle(): Promise<void> {
    await Promise.all(this.#work);
    this.#work = [];
  }

  async #crash(log: Log, afterMs: number): Promise<void> {
    await this.#harness.passTime(afterMs);
    this.#log = undefined;
    if (this.#harness.cutPower === undefined) {
      // Only what is acknowledged by now must be in a copy that is made from now on.
      const model = { sent: [...this.#sent], acknowledged: this.#acknowledged };
      const snapshotOf = this.#unfinishedSnapshot?.wasOf ?? this.#snapshotOf;
      if (this.#isMoving()) await this.#settle();
      const files = await filesOf(this.#disk);
      await this.#settle();
      await log.close();
      this.#folder = `${this.#folder}-${(this.#copies += 1)}`;
      this.#disk = this.#machine.disk.within(this.#folder);
      await this.#disk.makeDirectory('');
      await putFiles(this.#disk, files);
      this.#sent = model.sent;
      this.#acknowledged = model.acknowledged;
      this.#snapshotOf = snapshotOf;
    } else {
      this.#machine = await this.#harness.cutPower();
      this.#disk = this.#machine.disk.within(this.#folder);
      this.#snapshotOf = this.#unfinishedSnapshot?.wasOf ?? this.#snapshotOf;
      this.#work = [];
    }
    this.#unfinishedSnapshot = undefined;
  }

  /** Files that come and go cannot be copied as of one moment. */
  #isMoving(): boolean {
    return this.#work.length > 0;
  }

  async end(): Promise<void> {
    const log = await this.open();
    await this.#settle();
    await log.close();
    this.#log = undefined;
    const again = await this.open();
    assert.equal(again.head().sequence, this.#sent.length);
    await again.close();
    this.#log = undefined;
  }
}

export async function checkHistories(harness: LogHarness): Promise<void> {
  let machine = harness.machine;
  let folderCount = 0;
  const numRuns = harness.cutPower === undefined ? runsOnRealDisk : runsOnSimulatedDisk;
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const run = new History(harness, machine, `history-${(folderCount += 1)}`);
      try {
        for (const step of history) await run.take(step);
        await run.end();
      } finally {
        machine = run.machine;
      }
    }),
    { numRuns, endOnFailure: true },
  );
}
