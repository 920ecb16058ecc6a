/** What every driver of the Spawn port must do. */
import assert from 'node:assert/strict';
import { SelvageError } from '#base/mod.ts';
import { contractCase, eventually, rejection, type TimedHarness } from './harness.contract.ts';
import type { ProcessHandle, ProcessSpec, Spawn } from './spawn.ts';

/** The programs that the suite needs, in whatever form the driver can run. */
export type ContractProgram =
  /** Writes `<the whole of stdin>|<value of GREETING>|<HOME or nothing>` to stdout, `problem` to stderr, exits 3. */
  | 'report-and-exit-3'
  /** Runs until a signal ends it. */
  | 'run-on'
  /** Runs on, and ignores SIGTERM from the moment it has written `ready` to stdout. */
  | 'ignore-sigterm';

export interface SpawnHarness extends TimedHarness {
  readonly spawn: Spawn;
  /** `environment` and the paths are as the driver likes, but for what the suite lays over it. */
  readonly programOf: (program: ContractProgram) => ProcessSpec;
  /** An absolute path for an output file of that name. */
  readonly outputPath: (name: string) => string;
  readonly readOutput: (name: string) => Promise<string>;
}

interface Exit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** Registers the cases of the Spawn port. */
export function spawnContract(name: string, open: () => Promise<SpawnHarness>): void {
  const check = (behaviour: string, body: (opened: SpawnHarness) => Promise<void>): void =>
    contractCase(`spawn (${name}): ${behaviour}`, open, body);

  function exitsOf(handle: ProcessHandle): Exit[] {
    const exits: Exit[] = [];
    handle.onExit((exit) => exits.push(exit));
    return exits;
  }

  check('a process gets its input and environment and nothing else', async (opened) => {
    const handle = await opened.spawn.start({
      ...opened.programOf('report-and-exit-3'),
      environment: { GREETING: 'hello' },
      stdin: new TextEncoder().encode('secret'),
      stdoutPath: opened.outputPath('out'),
      stderrPath: opened.outputPath('err'),
    });
    const exits = exitsOf(handle);
    await eventually(opened, 'it exits', () => exits.length > 0, 10_000);
    assert.deepEqual(exits, [{ code: 3, signal: undefined }]);
    assert.equal((await opened.readOutput('out')).trim(), 'secret|hello|');
    assert.equal((await opened.readOutput('err')).trim(), 'problem');
    const late = exitsOf(handle);
    await eventually(opened, 'a late listener hears of it too', () => late.length === 1);
    assert.equal(await opened.spawn.signal(handle, 'SIGTERM'), false);
  });

  check('output is appended to what is there', async (opened) => {
    for (let round = 0; round < 2; round += 1) {
      const exits = exitsOf(
        await opened.spawn.start({
          ...opened.programOf('report-and-exit-3'),
          environment: { GREETING: `round${round}` },
          stdin: new Uint8Array(0),
          stdoutPath: opened.outputPath('both'),
        }),
      );
      await eventually(opened, 'it exits', () => exits.length > 0, 10_000);
    }
    const lines = (await opened.readOutput('both')).trim().split('\n');
    assert.deepEqual(lines, ['|round0|', '|round1|']);
  });

  check('a running process is in the table under its identity', async (opened) => {
    const { spawn } = opened;
    const handle = await spawn.start(opened.programOf('run-on'));
    const entry = await spawn.inspect(handle.pid);
    assert.ok(entry !== undefined);
    assert.equal(entry.startTicks, handle.startTicks);
    assert.equal(entry.isZombie, false);
    assert.ok(entry.command.length > 0 && entry.command.length <= 15);
    const spec = opened.programOf('run-on');
    // While a process replaces itself it has no words for an instant.
    let line = await spawn.commandLine(handle.pid);
    for (let look = 0; look < 100 && (line?.length ?? 0) === 0; look += 1) {
      await opened.passTime(10);
      line = await spawn.commandLine(handle.pid);
    }
    assert.ok(line !== undefined && line.length > 0);
    // A shell may have replaced itself by the last of its words.
    assert.ok([spec.program, ...spec.arguments].at(-1)?.endsWith(line.at(-1) ?? 'nothing'));
    const table = await spawn.table();
    const pids = table.map((process) => process.pid);
    assert.deepEqual(
      pids,
      pids.toSorted((left, right) => left - right),
    );
    // The command is left out: a program may have replaced itself between the two looks.
    const listed = table.find((process) => process.pid === handle.pid);
    assert.deepEqual({ ...listed, command: entry.command }, entry);
    const exits = exitsOf(handle);
    assert.equal(await spawn.signal(handle, 'SIGTERM'), true);
    await eventually(opened, 'it ends', () => exits.length > 0, 10_000);
    assert.deepEqual(exits, [{ code: undefined, signal: 'SIGTERM' }]);
    assert.equal(await spawn.inspect(handle.pid), undefined);
    assert.equal(await spawn.commandLine(handle.pid), undefined);
    assert.equal(await spawn.signal(handle, 'SIGKILL'), false);
  });

  check('a signal never reaches a process of another start time', async (opened) => {
    const { spawn } = opened;
    const handle = await spawn.start(opened.programOf('run-on'));
    const exits = exitsOf(handle);
    const stale = { pid: handle.pid, startTicks: handle.startTicks - 1 };
    assert.equal(await spawn.signal(stale, 'SIGKILL'), false);
    await opened.passTime(50);
    assert.equal(exits.length, 0);
    assert.equal(await spawn.signal(handle, 'SIGKILL'), true);
    await eventually(opened, 'it ends', () => exits.length > 0, 10_000);
    assert.deepEqual(exits, [{ code: undefined, signal: 'SIGKILL' }]);
  });

  check('SIGKILL ends what ignores SIGTERM', async (opened) => {
    const { spawn } = opened;
    const handle = await spawn.start({
      ...opened.programOf('ignore-sigterm'),
      stdoutPath: opened.outputPath('stubborn'),
    });
    const exits = exitsOf(handle);
    for (let waited = 0; !(await opened.readOutput('stubborn')).includes('ready'); waited += 1) {
      assert.ok(waited < 500, 'it says that it is ready');
      await opened.passTime(20);
    }
    assert.equal(await spawn.signal(handle, 'SIGTERM'), true);
    await opened.passTime(100);
    assert.equal(exits.length, 0);
    assert.equal(await spawn.signal(handle, 'SIGKILL'), true);
    await eventually(opened, 'it ends', () => exits.length > 0, 10_000);
  });

  check('a program that is not there is an error, not a process', async (opened) => {
    const thrown = await rejection(
      opened.spawn.start({ ...opened.programOf('run-on'), program: '/no/such/program' }),
    );
    assert.ok(thrown instanceof SelvageError, String(thrown));
    assert.equal(thrown.code, 'SPAWN_FAILED');
    assert.equal(await opened.spawn.inspect(2 ** 30), undefined);
  });
}
