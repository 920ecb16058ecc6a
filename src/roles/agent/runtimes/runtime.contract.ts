/** What every driver of the Runtime port must do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SelvageError } from '#base/mod.ts';
import type { ContainerKey, ContainerRun, ContainerStart, Runtime } from './types.ts';

/** The programs that a harness must offer as bundles. */
export interface RuntimePrograms {
  /** Prints `hello <env NAME> <its arguments>` and ends with code 3. */
  readonly greeter: string;
  /** Prints `ready`, on SIGTERM prints `bye` and ends with code 0. */
  readonly polite: string;
  /** Prints `ready`, takes no notice of SIGTERM. */
  readonly stubborn: string;
}

export interface RuntimeHarness extends AsyncDisposable {
  readonly programs: RuntimePrograms;
  /** Opens the runtime over the state of the one before, which is closed but leaves its containers. */
  reopen(): Promise<Runtime>;
  readLog(path: string): Promise<string>;
  killOutermost(run: ContainerRun): Promise<void>;
  /** Whether a process of the container is still there. */
  hasProcesses(run: ContainerRun): Promise<boolean>;
  passTime(milliseconds: number): Promise<void>;
}

const module = 'main.mjs';

/** Registers the cases of the Runtime port. */
export function runtimeContract(name: string, open: () => Promise<RuntimeHarness>): void {
  const check = (
    behaviour: string,
    body: (harness: RuntimeHarness, runtime: Runtime) => Promise<void>,
  ): void => {
    test(`runtime (${name}): ${behaviour}`, async () => {
      await using harness = await open();
      await body(harness, await harness.reopen());
    });
  };

  const startOf = (bundle: string, more: Partial<ContainerStart> = {}): ContainerStart => ({
    podUid: 'uid-1',
    container: 'main',
    podNamespace: 'default',
    podName: 'pod-1',
    image: 'image:1',
    digest: 'sha256:1',
    ip: '127.1.9.1',
    restartCount: 0,
    bundle,
    command: [module],
    environment: {},
    ...more,
  });

  const until = async (
    harness: RuntimeHarness,
    what: string,
    holds: () => boolean | Promise<boolean>,
  ): Promise<void> => {
    for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 50) {
      if (await holds()) return;
      await harness.passTime(50);
    }
    assert.fail(`not within 10 s: ${what}`);
  };
  const ended = async (
    harness: RuntimeHarness,
    runtime: Runtime,
    key: ContainerKey,
  ): Promise<ContainerRun> => {
    await until(harness, 'the end', () => runtime.get(key)?.exit !== undefined);
    const run = runtime.get(key);
    assert.ok(run);
    return run;
  };
  const ready = async (harness: RuntimeHarness, runtime: Runtime, key: ContainerKey) =>
    until(harness, 'ready', async () =>
      (await harness.readLog(runtime.logPath(key))).includes('ready'),
    );

  check('a container has its words, its log and its exit code', async (harness, runtime) => {
    const told: ContainerRun[] = [];
    runtime.onExit((run) => told.push(run));
    const start = startOf(harness.programs.greeter, {
      command: [module, "a 'b'", '$HOME', ''],
      environment: { NAME: "two\nlines' \\ $(id)" },
    });
    await runtime.start(start);
    const run = await ended(harness, runtime, start);
    assert.equal(run.exit?.exitCode, 3);
    assert.equal(run.exit.reason, 'Error');
    assert.ok(run.exit.finishedAtMs >= run.startedAtMs - 1000);
    assert.equal(
      await harness.readLog(runtime.logPath(start)),
      `hello ${JSON.stringify("two\nlines' \\ $(id)")} ${JSON.stringify(["a 'b'", '$HOME', ''])}\n`,
    );
    assert.deepEqual(
      told.map((one) => one.exit?.exitCode),
      [3],
    );
    assert.equal(await harness.hasProcesses(run), false);
    await runtime.start({ ...start, restartCount: 1, last: run.exit });
    const again = await ended(harness, runtime, start);
    assert.equal(again.restartCount, 1);
    assert.deepEqual(again.last, run.exit);
    assert.notEqual(again.containerId, run.containerId);
    await runtime.removePod('uid-1');
    assert.deepEqual(runtime.list(), []);
  });

  check(
    'a graceful stop reaches the workload, a kill needs no consent',
    async (harness, runtime) => {
      const polite = startOf(harness.programs.polite);
      const stubborn = startOf(harness.programs.stubborn, { podUid: 'uid-2', ip: '127.1.9.2' });
      for (const start of [polite, stubborn]) {
        await runtime.start(start);
        await ready(harness, runtime, start);
        await assert.rejects(
          runtime.start(start),
          (thrown) => thrown instanceof SelvageError && thrown.code === 'RUNTIME_RUNNING',
        );
        await assert.rejects(runtime.removePod(start.podUid), SelvageError);
        assert.equal(await runtime.stop(start, 'graceful'), true);
      }
      const bye = await ended(harness, runtime, polite);
      assert.equal(bye.exit?.exitCode, 0);
      assert.equal(bye.exit.reason, 'Completed');
      assert.ok((await harness.readLog(runtime.logPath(polite))).endsWith('bye\n'));
      assert.equal(runtime.get(stubborn)?.exit, undefined);
      assert.equal(await runtime.stop(stubborn, 'kill'), true);
      assert.equal((await ended(harness, runtime, stubborn)).exit?.exitCode, 137);
      assert.equal(await runtime.stop(stubborn, 'kill'), false);
    },
  );

  check('a stop right after the start is not lost', async (harness, runtime) => {
    for (let round = 0; round < 5; round += 1) {
      const start = startOf(harness.programs.polite, { restartCount: round });
      await runtime.start(start);
      await harness.passTime(round * 10);
      await runtime.stop(start, 'graceful');
      const run = await ended(harness, runtime, start);
      assert.ok([0, 143].includes(run.exit?.exitCode ?? -1), JSON.stringify(run.exit));
    }
  });

  check('what runs is adopted as it is, what ended meanwhile is read', async (harness, first) => {
    const lives = startOf(harness.programs.polite, { restartCount: 4 });
    const ends = startOf(harness.programs.polite, { podUid: 'uid-2', ip: '127.1.9.2' });
    const before = await first.start(lives);
    await first.start(ends);
    await ready(harness, first, lives);
    await ready(harness, first, ends);
    first.close();
    assert.equal(await first.stop(ends, 'graceful'), true);
    await harness.passTime(1000);
    const second = await harness.reopen();
    assert.deepEqual(second.get(lives), before);
    assert.equal(second.get(ends)?.exit?.exitCode, 0);
    const told: ContainerRun[] = [];
    second.onExit((run) => told.push(run));
    assert.equal(await second.stop(lives, 'graceful'), true);
    assert.equal((await ended(harness, second, lives)).exit?.exitCode, 0);
    assert.equal(told.length, 1);
  });

  check('when the outermost process is killed everything in it dies', async (harness, runtime) => {
    const start = startOf(harness.programs.stubborn);
    const run = await runtime.start(start);
    await ready(harness, runtime, start);
    assert.equal(await harness.hasProcesses(run), true);
    await harness.killOutermost(run);
    const after = await ended(harness, runtime, start);
    assert.equal(after.exit?.exitCode, 137);
    assert.equal(after.exit.reason, 'ContainerStatusUnknown');
    await until(harness, 'no process left', async () => !(await harness.hasProcesses(run)));
  });

  check('a command that is no module of the image is refused', async (harness, runtime) => {
    for (const command of [[], ['/bin/sh'], ['../x.mjs'], ['/app/../../x']]) {
      await assert.rejects(
        runtime.start(startOf(harness.programs.greeter, { command })),
        (thrown) => thrown instanceof SelvageError && thrown.code === 'RUNTIME_BAD_COMMAND',
      );
    }
    assert.deepEqual(runtime.list(), []);
  });
}
