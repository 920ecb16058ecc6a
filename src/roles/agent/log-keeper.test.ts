import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { textOf } from '#base/mod.ts';
import { type Disk, silentLogger } from '#platform/io/mod.ts';
import { createNodeClock, createNodeDisk, createNodeTimers } from '#platform/io/node/mod.ts';
import type { Outbox, UpwardEntry } from '#platform/sync/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { keepLogs } from './log-keeper.ts';
import { emptyTimes, noteLength, writtenSince } from './log-times.ts';
import { createPodLogs } from './pod-logs.ts';
import type { ContainerRun } from './runtimes/types.ts';

const logBytesMax = 10_000;
const line = (number: number): string => `line ${String(number).padStart(6, '0')}\n`;
const numbersIn = (text: string): number[] =>
  [...text.matchAll(/line ([0-9]{6})\n/g)].map(([, digits]) => Number(digits));

/** The same, but whoever reads the log itself waits before each time. */
function waitingBefore(disk: Disk, wait: () => Promise<void>): Disk {
  return {
    ...disk,
    async open(path, ...words) {
      const file = await disk.open(path, ...words);
      if (path !== 'log') return file;
      return {
        ...file,
        sizeBytes: () => file.sizeBytes(),
        close: () => file.close(),
        async readAt(...place) {
          await wait();
          return await file.readAt(...place);
        },
      };
    },
  };
}

/** `beforeRead`: of who shows the log, before each look into it. */
function openLogs(beforeRead = async (): Promise<void> => {}) {
  const folder = mkdtempSync(join(tmpdir(), 'logs-'));
  const disk = createNodeDisk(folder);
  const [clock, timers] = [createNodeClock(), createNodeTimers()];
  const entries: UpwardEntry[] = [];
  const outbox = {
    put: (entry: UpwardEntry) => Promise.resolve(void entries.push(entry)),
  } as unknown as Outbox;
  const state = { restartCount: 0, isOver: false };
  const run = (): ContainerRun =>
    ({
      podUid: 'u',
      podName: 'p',
      podNamespace: 'default',
      container: 'c',
      containerId: `script://u/c/${state.restartCount}`,
      restartCount: state.restartCount,
      exit: state.isOver ? ({ exitCode: 0 } as never) : undefined,
      ...(state.restartCount === 0
        ? {}
        : { last: { containerId: `script://u/c/${state.restartCount - 1}`, finishedAtMs: 0 } }),
    }) as ContainerRun;
  const runtime = { list: () => [run()], get: run, logPath: () => 'log' };
  const open = () =>
    keepLogs(
      { disk, clock, timers, logger: silentLogger, outbox, runtime },
      { logBytesMax, lookEveryMs: 20 },
    );
  let keeper = open();
  const serve = createPodLogs({
    disk: waitingBefore(disk, beforeRead),
    timers,
    clock,
    runtime,
    hasPod: () => true,
    keeper: {
      cutOf: (path) => keeper.cutOf(path),
      settledCutOf: (path) => keeper.settledCutOf(path),
      offsetSince: (...words) => keeper.offsetSince(...words),
      timesOf: (one) => keeper.timesOf(one),
      timesBefore: (one) => keeper.timesBefore(one),
    },
  });
  const path = join(folder, 'log');
  writeFileSync(path, '');
  return {
    state,
    entries,
    path,
    append: (text: string) => appendFileSync(path, text),
    sizeBytes: () => statSync(path).size,
    read(parameters: Record<string, unknown> = {}, afterMs = 0) {
      const seen = { text: '', failure: undefined as string | undefined };
      let close = (): void => {};
      const ended = new Promise<typeof seen>((resolve) => {
        close = () => resolve(seen);
        serve({ podUid: 'u', container: 'c', ...parameters }, {
          send: async (bytes: Uint8Array) => {
            seen.text += textOf(bytes);
            if (afterMs > 0) await new Promise((next) => setTimeout(next, afterMs));
          },
          end: () => close(),
          fail: (failure: { code: string }) => {
            seen.failure = failure.code;
            close();
          },
          onMessage() {},
          onClose() {},
        } as unknown as LinkStream);
      });
      return ended;
    },
    /** The next agent. */
    reopen(): void {
      keeper.close();
      keeper = open();
    },
    async untilCut(): Promise<void> {
      while (statSync(path).size > logBytesMax) await new Promise((next) => setTimeout(next, 5));
    },
    [Symbol.dispose]() {
      keeper.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

test('a log that is too long is cut, its newer part is still shown, and an event says so once', async () => {
  using logs = openLogs();
  let next = 0;
  for (let round = 0; round < 3; round += 1) {
    const text = Array.from({ length: 2000 }, () => line(next++)).join('');
    logs.append(text);
    await logs.untilCut();
  }
  logs.append(line(next++));
  assert.ok(logs.sizeBytes() < 100);
  const { text } = await logs.read();
  // Beside that, what came between the last look and this one.
  assert.ok(text.length >= logBytesMax && text.length <= 2 * logBytesMax + 100, `${text.length}`);
  const numbers = numbersIn(text);
  assert.equal(numbers.at(-1), next - 1);
  assert.ok(
    numbers.every((number, at) => at === 0 || number === (numbers[at - 1] ?? 0) + 1),
    'nothing is missing in between',
  );
  assert.deepEqual(numbersIn((await logs.read({ tailLines: 3 })).text), [
    next - 3,
    next - 2,
    next - 1,
  ]);
  assert.deepEqual(
    logs.entries.map((entry) => entry.type === 'event' && entry.reason),
    ['LogCut'],
  );
});

test('a log that is cut between two looks of its reader is read to its end, each line once', async () => {
  for (const cutBefore of [1, 2, 3]) {
    let reads = 0;
    using logs = openLogs(async () => {
      reads += 1;
      // All that was there is gone from the log by then.
      if (reads === cutBefore) while (logs.sizeBytes() > 0) await pause(1);
    });
    // A piece and most of what a cut keeps: so nothing of it is missed.
    const last = 6_200;
    logs.append(Array.from({ length: last + 1 }, (_, number) => line(number)).join(''));
    const { text, failure } = await logs.read();
    assert.equal(failure, undefined);
    const numbers = numbersIn(text);
    assert.ok(reads >= cutBefore, 'the log was cut while it was read');
    assert.equal(numbers.at(-1), last, `the end is there, cut before read ${cutBefore}`);
    assert.ok(numbers.every((number, at) => at === 0 || number === (numbers[at - 1] ?? 0) + 1));
    assert.equal(
      numbers[0] === 0,
      cutBefore > 1,
      'only what was cut away before it was read is missing',
    );
  }
});

test('who follows a log sees every line once, whenever it is cut', async () => {
  using logs = openLogs();
  const followed = logs.read({ follow: true });
  let next = 0;
  for (let round = 0; round < 60; round += 1) {
    logs.append(Array.from({ length: 100 }, () => line(next++)).join(''));
    await new Promise((resolve) => setTimeout(resolve, 5));
    // A cut loses what is written in its moment: here nothing is.
    if (logs.sizeBytes() > logBytesMax) await logs.untilCut();
    if (round % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 250));
  }
  logs.state.isOver = true;
  const numbers = numbersIn((await followed).text);
  assert.deepEqual(
    numbers,
    Array.from({ length: next }, (_, number) => number),
  );
});

test('the log of the run before is shown when it is asked for, and only then', async () => {
  using logs = openLogs();
  assert.equal((await logs.read({ previous: true })).failure, 'CONTAINER_NOT_FOUND');
  logs.append('of the first run\n');
  logs.state.restartCount = 1;
  writeFileSync(`${logs.path}.previous`, 'of the first run\n');
  writeFileSync(logs.path, 'of the second run\n');
  assert.equal((await logs.read({ previous: true })).text, 'of the first run\n');
  assert.equal((await logs.read()).text, 'of the second run\n');
  writeFileSync(`${logs.path}.0`, 'long before\n');
  assert.equal((await logs.read({ previous: true })).text, 'long before\nof the first run\n');
  assert.equal((await logs.read({ previous: true, tailLines: 1 })).text, 'of the first run\n');
  logs.state.isOver = true;
  assert.equal((await logs.read({ previous: true })).text, 'of the second run\n', 'it is the last');
});

test('what was written since a moment is shown whole, with little of what was there before', async () => {
  using logs = openLogs();
  let next = 0;
  const write = (count: number): void => {
    logs.append(Array.from({ length: count }, () => line(next++)).join(''));
  };
  const pause = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, delayMs);
    });
  write(100);
  await pause(400);
  write(10);
  await pause(400);
  assert.deepEqual((await logs.read({ sinceAgeMs: 200 })).text, '', 'nothing in this time');
  const recent = numbersIn((await logs.read({ sinceAgeMs: 700 })).text);
  assert.deepEqual(
    recent,
    Array.from({ length: 10 }, (_, at) => 100 + at),
  );
  assert.equal(numbersIn((await logs.read({ sinceAgeMs: 60_000 })).text).length, 110);
  assert.deepEqual(
    numbersIn((await logs.read({ sinceAgeMs: 700, tailLines: 2 })).text),
    [108, 109],
  );
  // A cut moves everything, and the next agent knows it too.
  write(1000);
  await logs.untilCut();
  await pause(400);
  write(5);
  await pause(100);
  const afterCut = [next - 5, next - 4, next - 3, next - 2, next - 1];
  assert.deepEqual(numbersIn((await logs.read({ sinceAgeMs: 300 })).text), afterCut);
  logs.reopen();
  assert.deepEqual(numbersIn((await logs.read({ sinceAgeMs: 400 })).text), afterCut);
});

test('each line says when it was seen, after a cut, of the run before and for who follows', async () => {
  using logs = openLogs();
  const pause = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, delayMs);
    });
  const timesIn = (text: string): number[] =>
    text
      .trimEnd()
      .split('\n')
      .map((one) => {
        const [, time = ''] =
          /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) line \d{6}$/.exec(one) ?? [];
        assert.notEqual(time, '', one);
        return Date.parse(time);
      });
  const near = (time: number | undefined, expected: number): void =>
    assert.ok(Math.abs((time ?? 0) - expected) < 400, `${(time ?? 0) - expected} ms`);
  const beganMs = Date.now();
  logs.append(line(1).repeat(1000));
  await logs.untilCut();
  await pause(800);
  const laterMs = Date.now();
  const followed = logs.read({ timestamps: true, follow: true, tailLines: 1 });
  logs.append(line(2));
  await pause(300);
  // The cut goes through a line.
  const whole = (await logs.read({ timestamps: true })).text;
  const times = timesIn(whole.slice(whole.indexOf('\n') + 1));
  near(times[0], beganMs);
  near(times.at(-2), beganMs);
  near(times.at(-1), laterMs);
  logs.state.isOver = true;
  near(timesIn((await followed).text).at(-1), laterMs);
  // The next run has times of its own, and those of this one are kept.
  logs.state.isOver = false;
  logs.state.restartCount = 1;
  writeFileSync(`${logs.path}.previous`, line(2));
  writeFileSync(logs.path, line(3));
  await pause(100);
  near(timesIn((await logs.read({ timestamps: true })).text)[0], Date.now());
  const previous = (await logs.read({ timestamps: true, previous: true })).text;
  const before = timesIn(previous.slice(previous.indexOf('\n') + 1));
  near(before[0], beganMs);
  near(before.at(-1), laterMs);
});

test('samples stay few, and the newest stay exact', () => {
  let times = emptyTimes('r');
  for (let at = 0; at < 5000; at += 1) times = noteLength(times, at * 10, at * 1000);
  assert.ok(times.samples.length <= 1024);
  assert.equal(writtenSince(times, 4_990_500), 49_900);
  assert.ok(writtenSince(times, 2_000_000) <= 20_000);
  assert.equal(writtenSince(times, -1), 0);
  assert.equal(noteLength(times, 49_990, 9e9), times, 'nothing was written');
});
