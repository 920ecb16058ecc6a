// What a server that was restored from a backup shows of pods: its nodes have told some of it to
// the server that was lost, and some to this one before its operator has decided.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import { type ApiObject, type Pod, resources } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { imageName } from './constants.ts';
import { Fleet } from './fleet.ts';
import { ensureCreated } from './operator.ts';
import { filesOf, powerOff, replaceFiles, switchOn } from './server-disk.ts';
import { serviceWorkload, type SimWorkload, shimProgram } from './shim-program.ts';

const limitMs = 3_600_000;
const settledMs = 10_000;
const taskPollMs = 500;
const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const taskPod = (name: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: {
    restartPolicy: 'Never',
    containers: [{ name: 'main', image: `${imageName}:latest`, args: ['task'] }],
  },
});

interface Stage {
  readonly create: (name: string) => Promise<void>;
  /** All tasks end now. */
  readonly endTasks: () => void;
  readonly pass: (durationMs: number) => Promise<void>;
  readonly phaseOf: (name: string) => Promise<string | undefined>;
  readonly untilPhase: (name: string, phase: string) => Promise<void>;
  readonly powerOff: () => Promise<void>;
  readonly switchOn: () => Promise<void>;
  /** Keeps the server's disk; the answer puts that back in place of what it is by then. */
  readonly backUp: () => Promise<() => void>;
  readonly settle: (choice: 'impose' | 'adopt') => Promise<void>;
}

async function inFleet(seed: number, run: (stage: Stage) => Promise<void>): Promise<void> {
  const world = createWorld({ seed, drainMicrotasks });
  const fleet = new Fleet(world, 1);
  let hasEnded = false;
  const task: SimWorkload = (process) => {
    const look = (): void => {
      if (hasEnded) process.exit(0);
      else process.timers.after(taskPollMs, look);
    };
    look();
  };
  world.programs.unshift(
    shimProgram(({ command }) => (command.at(-1) === 'task' ? task : serviceWorkload)),
  );
  const pass = (durationMs: number): Promise<void> => sleep(world.timers, durationMs);
  const phaseOf = async (name: string): Promise<string | undefined> => {
    const found = await fleet.operator.persist('a look', (client) =>
      client.get(resources.pods, 'default', name),
    );
    return (found as unknown as Pod).status?.phase;
  };
  const stage: Stage = {
    pass,
    phaseOf,
    create: (name) => ensureCreated(fleet.operator, resources.pods, taskPod(name)),
    endTasks() {
      hasEnded = true;
    },
    async untilPhase(name, phase) {
      let seen: string | undefined;
      for (let tries = 0; tries < 60; tries += 1) {
        seen = await phaseOf(name);
        if (seen === phase) return;
        await pass(1_000);
      }
      assert.fail(`pod ${name} is ${seen} after a minute, not ${phase}`);
    },
    powerOff: () => powerOff(fleet),
    switchOn: () => switchOn(fleet),
    async backUp() {
      await powerOff(fleet);
      const backup = filesOf(fleet.serverHost);
      await switchOn(fleet);
      return () => {
        replaceFiles(fleet.serverHost, backup);
        fleet.checkers.serverReplaced();
      };
    },
    async settle(choice) {
      const body = utf8(JSON.stringify({ choice }));
      const path = '/apis/selvage.dev/v1/incarnations';
      await fleet.operator.send('POST', path, 'application/json', body);
    },
  };
  const story = async (): Promise<void> => {
    await fleet.found();
    await run(stage);
  };
  await world.settle(Promise.race([story(), fleet.failed]), limitMs);
}

test('the end of a pod that only the lost server has heard of is told again after impose', () =>
  inFleet(71, async (stage) => {
    await stage.create('one');
    await stage.untilPhase('one', 'Running');
    await stage.pass(settledMs);
    const restore = await stage.backUp();
    stage.endTasks();
    await stage.untilPhase('one', 'Succeeded');
    await stage.pass(settledMs);
    await stage.powerOff();
    restore();
    await stage.switchOn();
    await stage.pass(settledMs);
    assert.equal(await stage.phaseOf('one'), 'Running', 'the backup does not know of it');
    await stage.settle('impose');
    await stage.untilPhase('one', 'Succeeded');
  }));

test('adopt puts no older word over what a node told the restored server, and hears of what it did not know then', () =>
  inFleet(72, async (stage) => {
    await stage.create('one');
    await stage.untilPhase('one', 'Running');
    await stage.pass(settledMs);
    const restore = await stage.backUp();
    await stage.create('late');
    await stage.untilPhase('late', 'Running');
    await stage.pass(settledMs);
    await stage.powerOff();
    // While there is no server both end; the node's copy has them running.
    stage.endTasks();
    await stage.pass(settledMs);
    restore();
    await stage.switchOn();
    await stage.untilPhase('one', 'Succeeded');
    await stage.settle('adopt');
    assert.equal(await stage.phaseOf('one'), 'Succeeded');
    await stage.untilPhase('late', 'Succeeded');
    assert.equal(await stage.phaseOf('one'), 'Succeeded');
  }));
