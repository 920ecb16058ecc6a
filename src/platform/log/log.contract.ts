/**
 * What the log promises over any disk: the same cases run over the real driver and
 * over the simulated one. Where the driver can cut its power the histories of the
 * last case end so; elsewhere a crash is a copy of the files while the log is open.
 */
import assert from 'node:assert/strict';
import { textOf, utf8 } from '#base/mod.ts';
import { silentLogger } from '../io/mod.ts';
import { contractCase, rejection, SkipCase, type TimedHarness } from '../io/harness.contract.ts';
import { frameHeaderBytes, headerBytes } from './format.ts';
import { LogCompactedError, LogDamagedError, LogFullError, LogLatchedError } from './errors.ts';
import { openLog } from './log.ts';
import type { Log } from './types.ts';
import { failingDisk } from './failing-disk.contract.ts';
import { checkHistories } from './histories.contract.ts';
import {
  appendEach,
  bytesOf,
  filesOf,
  type LogMachine,
  openOn,
  payloadOf,
  putFiles,
  smallSegments,
  textsOf,
  textsUpTo,
  withDamage,
  withFile,
} from './log-files.contract.ts';

export interface LogHarness extends TimedHarness {
  /** The cases that go through every byte take every n-th where the driver is slow. */
  readonly byteStride: number;
  readonly machine: LogMachine;
  /** Cuts the power and gives the machine as it starts afterwards, where the driver can. */
  readonly cutPower?: () => Promise<LogMachine>;
  /** Ends the process alone, and gives the machine to the next one. */
  readonly killProcess?: () => Promise<LogMachine>;
}

const firstSegment = 'segment-0000000000000001.log';

function range(from: number, through: number): number[] {
  return Array.from({ length: through - from + 1 }, (_, index) => from + index);
}

async function damageOf(work: Promise<unknown>): Promise<LogDamagedError> {
  const thrown = await rejection(work);
  assert.ok(thrown instanceof LogDamagedError, `a LogDamagedError, not ${String(thrown)}`);
  return thrown;
}

/** Opens and reads everything, a snapshot too. */
async function readAll(machine: LogMachine, disk = machine.disk): Promise<string[]> {
  const log = await openOn(machine, disk);
  try {
    const texts: string[] = [];
    for await (const block of log.latestSnapshot()?.blocks() ?? []) texts.push(textOf(block));
    return [...texts, ...(await textsOf(log))];
  } finally {
    await log.close();
  }
}

/** Registers the cases. `open` gives an empty disk each time. */
export function logContract(name: string, open: () => Promise<LogHarness>): void {
  const check = (behaviour: string, body: (opened: LogHarness) => Promise<void>): void =>
    contractCase(`log (${name}): ${behaviour}`, open, body);

  check('an opened log has what was appended, and every cursor', async ({ machine }) => {
    const log = await openOn(machine, machine.disk, smallSegments);
    const told = [];
    for (const number of range(1, 20)) told.push(await log.appendDurably(payloadOf(number)));
    const cursors = range(0, 20).map((sequence) => log.cursorAt(sequence));
    const [head, incarnation] = [log.head(), log.incarnation];
    assert.deepEqual(
      told.map(({ sequence, chainHash }) => ({ incarnation, sequence, chainHash })),
      cursors.slice(1),
    );
    await log.close();
    const again = await openOn(machine, machine.disk, smallSegments);
    assert.deepEqual(await textsOf(again), textsUpTo(20));
    assert.deepEqual(
      range(0, 21).map((sequence) => again.cursorAt(sequence)),
      [...cursors, undefined],
    );
    assert.deepEqual([again.head(), again.incarnation], [head, incarnation]);
    assert.equal(again.nextSequence(), 21);
    await again.close();
  });

  check('appends of one moment share a sync and settle in order', async ({ machine }) => {
    const log = await openOn(machine, machine.disk);
    const settled: number[] = [];
    await new Promise<void>((resolve) => {
      for (const number of range(1, 200)) {
        log.append(payloadOf(number), (outcome) => {
          assert.equal(outcome.type, 'durable');
          settled.push(number);
          if (settled.length === 200) resolve();
        });
      }
    });
    assert.deepEqual(settled, range(1, 200));
    assert.ok(log.syncCount() <= 3, `${log.syncCount()} syncs for 200 appends of one moment`);
    await log.close();
    assert.deepEqual(await readAll(machine), textsUpTo(200));
  });

  check('a tail torn at any byte is cut, and what was acknowledged stays', async (harness) => {
    const { machine, byteStride } = harness;
    const log = await openOn(machine, machine.disk);
    await appendEach(log, [1, 2, 3]);
    const keptBytes = log.sizeBytes();
    await Promise.all([4, 5, 6].map((number) => log.appendDurably(payloadOf(number))));
    const files = await filesOf(machine.disk);
    await log.close();
    const whole = bytesOf(files, firstSegment);
    const disk = machine.disk.within('copy');
    const lastStart = whole.length - frameHeaderBytes - payloadOf(6).length;
    for (let sizeBytes = keptBytes; sizeBytes <= whole.length; sizeBytes += byteStride) {
      const torn = whole.slice(0, sizeBytes);
      await putFiles(disk, withFile(files, firstSegment, torn));
      const texts = await readAll(machine, disk);
      assert.ok(texts.length >= 3, `cut at ${sizeBytes}`);
      assert.deepEqual(texts, textsUpTo(texts.length), `cut at ${sizeBytes}`);
      if (sizeBytes < keptBytes + frameHeaderBytes) assert.equal(texts.length, 3);
      // The same as a hole: the end reached the disk and the middle did not.
      const hole = whole.slice();
      hole.fill(0, sizeBytes, lastStart);
      await putFiles(disk, withFile(files, firstSegment, hole));
      const left = await readAll(machine, disk);
      assert.ok(left.length >= 3, `hole from ${sizeBytes}`);
      assert.deepEqual(left, textsUpTo(left.length), `hole from ${sizeBytes}`);
    }
  });

  check(
    'what was cut is not found again, and appends go on behind the cut',
    async ({ machine }) => {
      const log = await openOn(machine, machine.disk);
      await appendEach(log, [1, 2]);
      const files = await filesOf(machine.disk);
      await log.close();
      const whole = bytesOf(files, firstSegment);
      const disk = machine.disk.within('copy');
      await putFiles(disk, withFile(files, firstSegment, whole.slice(0, whole.length - 1)));
      const cut = await openOn(machine, disk);
      assert.equal(cut.head().sequence, 1);
      assert.equal((await cut.appendDurably(utf8('other'))).sequence, 2);
      await cut.close();
      assert.deepEqual(await readAll(machine, disk), ['', 'other']);
    },
  );

  check(
    'every byte of a log damaged in turn: refused with file and offset, or only its last batch is gone',
    async ({ machine, byteStride }) => {
      const log = await openOn(machine, machine.disk);
      await appendEach(log, range(1, 6));
      const files = await filesOf(machine.disk);
      await log.close();
      const disk = machine.disk.within('copy');
      const lastStart =
        bytesOf(files, firstSegment).length - frameHeaderBytes - payloadOf(6).length;
      let refused = 0;
      for (const [fileName, bytes] of files) {
        for (let offset = 0; offset < bytes.length; offset += byteStride) {
          await putFiles(disk, withFile(files, fileName, withDamage(bytes, offset)));
          const isLastBatch = fileName === firstSegment && offset >= lastStart;
          if (isLastBatch) {
            assert.deepEqual(await readAll(machine, disk), textsUpTo(5), `byte ${offset}`);
            continue;
          }
          const damage = await damageOf(readAll(machine, disk));
          assert.ok(damage.message.includes(damage.path));
          assert.ok(damage.offset <= offset, `${damage.message}, not ${fileName} ${offset}`);
          // An identity that reads as another one is found where the segment disowns it.
          if (fileName === firstSegment)
            assert.equal(damage.path, disk.absolute(`log/${fileName}`));
          refused += 1;
        }
      }
      assert.ok(refused > 500 / byteStride, `${refused} damages were refused`);
    },
  );

  check(
    'after an orderly close every damaged byte is refused, snapshot and old segments included',
    async ({ machine, byteStride }) => {
      const log = await openOn(machine, machine.disk, smallSegments);
      await appendEach(log, range(1, 11));
      await log.writeSnapshot(5, [utf8('first block'), utf8('second block')]);
      await log.compact(6);
      await log.close();
      const files = await filesOf(machine.disk);
      const expected = await readAll(machine);
      const lastName = [...files.keys()].findLast((found) => found.startsWith('segment'));
      assert.ok(files.size >= 4, 'an identity, two segments and a snapshot');
      const disk = machine.disk.within('copy');
      for (const [fileName, bytes] of files) {
        for (let offset = 0; offset < bytes.length; offset += byteStride) {
          await putFiles(disk, withFile(files, fileName, withDamage(bytes, offset)));
          const isSeal = fileName === lastName && offset >= bytes.length - frameHeaderBytes;
          if (isSeal) assert.deepEqual(await readAll(machine, disk), expected);
          else await damageOf(readAll(machine, disk));
        }
      }
    },
  );

  check('a file of the log that is gone is refused', async ({ machine }) => {
    const log = await openOn(machine, machine.disk, smallSegments);
    await appendEach(log, range(1, 12));
    await log.close();
    const files = await filesOf(machine.disk);
    const disk = machine.disk.within('copy');
    const names = [...files.keys()];
    assert.ok(names.length >= 4);
    // The last segment alone cannot be missed: a log may end before it.
    for (const fileName of names.slice(0, -1)) {
      await putFiles(disk, new Map([...files].filter(([other]) => other !== fileName)));
      await damageOf(openOn(machine, disk));
    }
  });

  check('a failed sync latches the log, and what was acknowledged stays', async (harness) => {
    const { machine, cutPower } = harness;
    const failing = failingDisk(machine.disk);
    let latched = 0;
    const { random, timers } = machine;
    const onLatched = (): void => void (latched += 1);
    const ports = { disk: failing.disk, random, timers, logger: silentLogger, onLatched };
    const log = await openLog(ports);
    await appendEach(log, [1, 2]);
    failing.failSyncs = 1;
    assert.equal(latched, 0);
    const both = [3, 4].map((number) => rejection(log.appendDurably(payloadOf(number))));
    for (const thrown of await Promise.all(both)) assert.ok(thrown instanceof LogLatchedError);
    assert.throws(() => log.append(payloadOf(5), () => {}), LogLatchedError);
    assert.ok((await rejection(log.writeSnapshot(2, []))) instanceof LogLatchedError);
    assert.equal(latched, 1, 'it is told once');
    assert.equal(log.head().sequence, 2);
    assert.deepEqual(await textsOf(log), textsUpTo(2), 'reads go on');
    await log.close();
    const found = await readAll(cutPower === undefined ? machine : await cutPower());
    assert.ok(found.length >= 2);
    assert.deepEqual(found, textsUpTo(found.length));
  });

  check('no space refuses the append, leaves nothing behind, and passes', async ({ machine }) => {
    const failing = failingDisk(machine.disk);
    const log = await openOn(machine, failing.disk, smallSegments);
    await appendEach(log, [1, 2]);
    // Of three records: nothing, a part, the first one whole, two whole.
    for (const roomBytes of [0, 1, 70, 100, 200]) {
      failing.roomBytes = roomBytes;
      const all = [3, 4, 5].map((number) => rejection(log.appendDurably(payloadOf(number))));
      for (const thrown of await Promise.all(all)) assert.ok(thrown instanceof LogFullError);
      assert.equal(log.nextSequence(), 3);
      await putFiles(machine.disk.within('copy'), await filesOf(machine.disk));
      assert.deepEqual(await readAll(machine, machine.disk.within('copy')), textsUpTo(2));
    }
    failing.roomBytes = undefined;
    await appendEach(log, range(3, 9));
    // Also where there is no room for the header of the next segment.
    const sizeBytes = log.sizeBytes();
    failing.roomBytes = headerBytes - 1;
    while ((await filesOf(machine.disk)).size < 4 && log.sizeBytes() < sizeBytes + 2_000) {
      failing.roomBytes = undefined;
      await log.appendDurably(payloadOf(log.nextSequence()));
      failing.roomBytes = headerBytes - 1;
      const thrown = await rejection(log.appendDurably(payloadOf(log.nextSequence())));
      assert.ok(thrown instanceof LogFullError, String(thrown));
    }
    failing.roomBytes = undefined;
    const count = log.head().sequence;
    await log.close();
    assert.deepEqual(await readAll(machine), textsUpTo(count));
  });

  check('what was refused for want of space is not there after a power cut', async (harness) => {
    const { cutPower } = harness;
    if (cutPower === undefined) throw new SkipCase('this driver cannot cut its power');
    let { machine } = harness;
    for (const round of range(1, 10)) {
      const folder = `full-${round}`;
      const failing = failingDisk(machine.disk.within(folder));
      const log = await openOn(machine, failing.disk);
      await appendEach(log, [1, 2]);
      failing.roomBytes = 200;
      const all = [3, 4, 5].map((number) => rejection(log.appendDurably(payloadOf(number))));
      for (const thrown of await Promise.all(all)) assert.ok(thrown instanceof LogFullError);
      machine = await cutPower();
      assert.deepEqual(await readAll(machine, machine.disk.within(folder)), textsUpTo(2));
    }
  });

  check('no space for a snapshot leaves the one before it', async ({ machine }) => {
    const failing = failingDisk(machine.disk);
    const log = await openOn(machine, failing.disk);
    await appendEach(log, range(1, 4));
    await log.writeSnapshot(2, [utf8('of two')]);
    for (const roomBytes of [0, headerBytes, headerBytes + 10]) {
      failing.roomBytes = roomBytes;
      const thrown = await rejection(log.writeSnapshot(3, [utf8('of three')]));
      assert.ok(thrown instanceof LogFullError, String(thrown));
      assert.equal(log.latestSnapshot()?.sequence, 2);
    }
    failing.roomBytes = undefined;
    await log.appendDurably(payloadOf(5));
    await log.close();
    assert.deepEqual(await readAll(machine), ['of two', ...textsUpTo(5)]);
  });

  check('compaction drops only what a snapshot stands for', async ({ machine }) => {
    const log = await openOn(machine, machine.disk, smallSegments);
    await appendEach(log, range(1, 30));
    await log.compact(30);
    assert.equal(log.oldestSequence(), 1, 'nothing stands for any record yet');
    await log.writeSnapshot(12, [utf8('of twelve')]);
    await log.compact(30);
    const oldest = log.oldestSequence();
    assert.ok(oldest > 1 && oldest <= 13, `the oldest kept is ${oldest}`);
    const thrown = await rejection(textsOf(log, oldest - 1));
    assert.ok(thrown instanceof LogCompactedError);
    assert.equal(log.cursorAt(oldest - 2), undefined);
    const before = log.cursorAt(oldest - 1);
    assert.ok(before !== undefined, 'a follower that has all before the oldest can go on');
    await log.writeSnapshot(20, [utf8('of twenty')]);
    const sizeBytes = log.sizeBytes();
    await log.close();
    const again = await openOn(machine, machine.disk, smallSegments);
    assert.deepEqual([again.oldestSequence(), again.cursorAt(oldest - 1)], [oldest, before]);
    assert.equal(again.sizeBytes(), sizeBytes + frameHeaderBytes, 'the same, and the seal');
    assert.deepEqual(await textsOf(again), textsUpTo(30).slice(oldest - 1));
    assert.equal(again.latestSnapshot()?.sequence, 20);
    await again.close();
    const names = [...(await filesOf(machine.disk)).keys()];
    assert.equal(names.filter((found) => found.startsWith('snapshot')).length, 1, names.join());
  });

  check(
    'logs have incarnations, and histories that part have other chains',
    async ({ machine }) => {
      const begin = async (folder: string): Promise<Log> =>
        openLog({
          disk: machine.disk.within(folder),
          random: machine.random,
          logger: silentLogger,
        });
      const [one, other] = [await begin('one'), await begin('other')];
      await appendEach(one, [1, 2]);
      await appendEach(other, [1, 2]);
      assert.notEqual(one.incarnation, other.incarnation);
      assert.notEqual(one.head().chainHash, other.head().chainHash);
      await putFiles(machine.disk.within('fork'), await filesOf(machine.disk.within('one')));
      const fork = await begin('fork');
      await appendEach(one, [3, 5]);
      await appendEach(fork, [4, 5]);
      const same = range(0, 4).map(
        (sequence) => one.cursorAt(sequence)?.chainHash === fork.cursorAt(sequence)?.chainHash,
      );
      assert.deepEqual(same, [true, true, true, false, false]);
      for (const log of [one, other, fork]) await log.close();
    },
  );

  check('a power cut while the log opens, at any moment, does no harm', async (harness) => {
    const { cutPower } = harness;
    if (cutPower === undefined) throw new SkipCase('this driver cannot cut its power');
    let { machine } = harness;
    for (let afterMs = 0; afterMs < 12; afterMs += 0.25) {
      const folder = `opened-${afterMs}`;
      // The very first open, then one that finds records and a torn tail behind them.
      void openOn(machine, machine.disk.within(folder), smallSegments);
      await harness.passTime(afterMs);
      machine = await cutPower();
      const log = await openOn(machine, machine.disk.within(folder), smallSegments);
      assert.equal(log.head().sequence, 0);
      await appendEach(log, range(1, 9));
      const underWay = [10, 11, 12].map((number) => log.appendDurably(payloadOf(number)));
      void Promise.all(underWay);
      await harness.passTime(afterMs / 4);
      machine = await cutPower();
      void openOn(machine, machine.disk.within(folder), smallSegments);
      await harness.passTime(afterMs);
      machine = await cutPower();
      const found = await readAll(machine, machine.disk.within(folder));
      assert.ok(found.length >= 9, `${found.length} records after a cut at ${afterMs} ms`);
      assert.deepEqual(found, textsUpTo(found.length));
    }
  });

  check('a finished snapshot and what it let go of survive a power cut', async (harness) => {
    const { cutPower } = harness;
    if (cutPower === undefined) throw new SkipCase('this driver cannot cut its power');
    let { machine } = harness;
    for (const round of range(1, 10)) {
      const folder = `snapshot-${round}`;
      const log = await openOn(machine, machine.disk.within(folder), smallSegments);
      await appendEach(log, range(1, 12));
      await log.writeSnapshot(10, [utf8('of'), utf8('ten')]);
      if (round % 2 === 0) await log.compact(11);
      const oldest = log.oldestSequence();
      machine = await cutPower();
      const found = await readAll(machine, machine.disk.within(folder));
      assert.deepEqual(found, ['of', 'ten', ...textsUpTo(12).slice(oldest - 1)]);
    }
  });

  check('what a log has shown after a kill is there after a power cut', async (harness) => {
    const { cutPower, killProcess } = harness;
    if (cutPower === undefined || killProcess === undefined) {
      throw new SkipCase('this driver cannot cut its power');
    }
    let { machine } = harness;
    let unacknowledged = 0;
    // A write takes a tenth of a millisecond, its sync some more.
    for (let afterMs = 0; afterMs < 0.5; afterMs += 0.01) {
      const folder = `killed-${afterMs}`;
      const log = await openOn(machine, machine.disk.within(folder));
      await appendEach(log, [1, 2]);
      void Promise.all([3, 4, 5].map((number) => log.appendDurably(payloadOf(number))));
      await harness.passTime(afterMs);
      const acknowledged = log.head().sequence;
      machine = await killProcess();
      const head = (await openOn(machine, machine.disk.within(folder))).head();
      if (head.sequence > acknowledged) unacknowledged += 1;
      machine = await cutPower();
      const last = await openOn(machine, machine.disk.within(folder));
      assert.deepEqual(last.head(), head);
    }
    assert.ok(unacknowledged > 0, 'some kills came between a write and its sync');
  });

  check('over any history with crashes everything acknowledged is there', async (harness) => {
    await checkHistories(harness);
  });
}
