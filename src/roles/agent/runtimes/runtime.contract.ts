/** What every driver of the Runtime port must do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SelvageError, utf8 } from '#base/mod.ts';
import type { Disk, Spawn } from '#platform/io/mod.ts';
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
  bootMs(): number;
  /** What the runtime was given. */
  readonly disk: Disk;
  /** Of the machine. */
  readonly spawn: Spawn;
  /**
   * What the runtime starts from now on starts so much later, and it is never told:
   * as if it had died in between. Infinity: never. Undefined: as it should be again.
   */
  holdStarts(lateMs: number | undefined): void;
}

/** The Spawn port for a harness's runtime, and the switch that `holdStarts` throws. */
export function holdable(
  spawn: Spawn,
  passTime: (milliseconds: number) => Promise<void>,
): { readonly spawn: Spawn; hold(lateMs: number | undefined): void } {
  let held: number | undefined;
  return {
    spawn: {
      ...spawn,
      start(spec) {
        if (held === undefined) return spawn.start(spec);
        // Nobody is there to hear of it, whether it starts or not.
        if (held < Infinity)
          passTime(held)
            .then(() => spawn.start(spec))
            .catch(() => {});
        return new Promise(() => {});
      },
    },
    hold(lateMs) {
      held = lateMs;
    },
  };
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

  /** Outer processes of the container, whoever started them. */
  const shimsOf = async ({ disk, spawn }: RuntimeHarness, key: ContainerKey): Promise<number> => {
    const statePath = disk.absolute(`pods/${key.podUid}/${key.container}`);
    let count = 0;
    for (const { pid, command, isZombie } of await spawn.table()) {
      if (command !== 'unshare' || isZombie) continue;
      if ((await spawn.commandLine(pid))?.includes(statePath) === true) count += 1;
    }
    return count;
  };
  const garble = async ({ disk }: RuntimeHarness, key: ContainerKey, name: string) =>
    disk.writeFileAtomic(`pods/${key.podUid}/${key.container}/${name}`, utf8('{"pid":12'));
  const setAsideIn = async ({ disk }: RuntimeHarness, key: ContainerKey) =>
    (await disk.list(`pods/${key.podUid}/${key.container}`))
      .map(({ name }) => name)
      .filter((name) => name.includes('.damaged-'));

  check('a start that its agent did not survive happens once or never', async (harness, first) => {
    let runtime = first;
    for (const [index, lateMs] of [0, 1, 3, 10, 30, 100, 250].entries()) {
      const start = startOf(harness.programs.polite, {
        podUid: `uid-${index}`,
        ip: `127.1.9.${index + 1}`,
      });
      harness.holdStarts(lateMs);
      void runtime.start(start);
      const ticket = `pods/${start.podUid}/main`;
      await until(harness, 'it is about to start', async () =>
        (await harness.disk.list(ticket)).some(({ name }) => /^(ticket|run)-1/.test(name)),
      );
      harness.holdStarts(undefined);
      runtime = await harness.reopen();
      const adopted = runtime.get(start);
      if (adopted === undefined) await runtime.start(start);
      else assert.equal(adopted.exit, undefined, JSON.stringify(adopted));
      await ready(harness, runtime, start);
      await harness.passTime(500);
      assert.equal(await shimsOf(harness, start), 1, `late by ${lateMs} ms`);
      assert.equal(runtime.get(start)?.restartCount, 0);
      assert.equal(runtime.get(start)?.exit, undefined);
      await runtime.stop(start, 'kill');
    }
  });

  check('a restart that never happened leaves the run before it', async (harness, first) => {
    const start = startOf(harness.programs.greeter, { restartCount: 7 });
    await first.start(start);
    const before = await ended(harness, first, start);
    assert.ok(before.exit);
    harness.holdStarts(Infinity);
    void first.start({ ...start, restartCount: 8, last: before.exit });
    await until(harness, 'it is about to start', async () =>
      (await harness.disk.list('pods/uid-1/main')).some(({ name }) => name === 'ticket-2'),
    );
    harness.holdStarts(undefined);
    for (let round = 0; round < 2; round += 1) {
      const runtime = await harness.reopen();
      assert.deepEqual(runtime.get(start), { ...before, process: undefined });
    }
  });

  check('what no container accounts for is ended', async (harness, first) => {
    const start = startOf(harness.programs.stubborn);
    const run = await first.start(start);
    for (const { name } of await harness.disk.list('pods/uid-1/main')) {
      if (/^(state|run)/.test(name)) await harness.disk.remove(`pods/uid-1/main/${name}`);
    }
    const second = await harness.reopen();
    assert.deepEqual(second.list(), []);
    await until(harness, 'no process left', async () => !(await harness.hasProcesses(run)));
  });

  check('damaged state is set aside and stops nothing that runs', async (harness, first) => {
    const start = startOf(harness.programs.polite, { restartCount: 3 });
    const before = await first.start(start);
    await ready(harness, first, start);
    for (let round = 0; round < 5; round += 1) {
      await garble(harness, start, 'state.json');
      assert.deepEqual((await harness.reopen()).get(start), before);
    }
    await garble(harness, start, 'started.json');
    const runtime = await harness.reopen();
    assert.equal(await runtime.stop(start, 'graceful'), true);
    assert.equal((await ended(harness, runtime, start)).exit?.exitCode, 0);
    assert.deepEqual(await setAsideIn(harness, start), [
      'started.json.damaged-1',
      'state.json.damaged-1',
      'state.json.damaged-2',
      'state.json.damaged-3',
    ]);
    await garble(harness, start, 'exit.json');
    const exit = (await harness.reopen()).get(start)?.exit;
    assert.equal(exit?.reason, 'ContainerStatusUnknown');
    assert.equal((await setAsideIn(harness, start))[0], 'exit.json.damaged-1');
  });

  check('a deadline ends a container with nobody there', async (harness, first) => {
    const dueMs = harness.bootMs() + 3_000;
    const ends = startOf(harness.programs.stubborn, { deadlineBootMs: dueMs });
    const told = startOf(harness.programs.stubborn, { podUid: 'uid-2', ip: '127.1.9.2' });
    const lives = startOf(harness.programs.stubborn, { podUid: 'uid-3', ip: '127.1.9.3' });
    for (const start of [ends, told, lives]) await first.start(start);
    // Given later, made shorter, made longer, and taken back.
    assert.equal(await first.setDeadline(told, dueMs + 60_000), true);
    assert.equal(await first.setDeadline(lives, dueMs), true);
    assert.equal(await first.setDeadline(lives, dueMs + 60_000), true);
    first.close();
    const second = await harness.reopen();
    assert.equal(await second.setDeadline(told, dueMs), true);
    assert.equal(await second.setDeadline(lives, undefined), true);
    second.close();
    await harness.passTime(Math.max(0, dueMs - harness.bootMs() - 300));
    for (const start of [ends, told]) {
      assert.equal(await shimsOf(harness, start), 1, 'not before its time');
    }
    await harness.passTime(1_800);
    const third = await harness.reopen();
    for (const start of [ends, told]) {
      const { exit } = third.get(start) ?? {};
      assert.equal(exit?.reason, 'DeadlineExceeded', JSON.stringify(exit));
      assert.equal(exit.exitCode, 137);
      assert.equal(await shimsOf(harness, start), 0);
      assert.equal(await third.setDeadline(start, dueMs), false);
    }
    assert.equal(third.get(lives)?.exit, undefined);
    await third.start({ ...ends, restartCount: 1, deadlineBootMs: harness.bootMs() + 60_000 });
    await harness.passTime(300);
    assert.equal(third.get(ends)?.exit, undefined, "an old deadline is not the new run's");
  });
}
