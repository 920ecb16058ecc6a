import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ApiObject, type Pod, resources } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { createWorld, type Host } from '#platform/sim/mod.ts';
import { imageName } from './constants.ts';
import { Fleet } from './fleet.ts';
import { ensureCreated } from './operator.ts';
import { serviceWorkload, type SimWorkload, shimProgram } from './shim-program.ts';

const limitMs = 3_600_000;
const podsCount = 6;
const podsFolder = 'selvage/agent/pods';
const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function podOf(index: number): ApiObject {
  const container = (name: string) => ({ name, image: `${imageName}:latest`, args: [name] });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${index}`, namespace: 'default' },
    spec: {
      initContainers: [container('task-1'), container('task-2')],
      containers: [container('main')],
    },
  };
}

/** What completed, in order: `pod-0 task-1`. Agents crash all the time while pods begin. */
async function completions(seed: number, beforeAgent?: (host: Host) => void): Promise<string[]> {
  const world = createWorld({ seed, drainMicrotasks });
  const fleet = new Fleet(world, 2);
  const completed: string[] = [];
  const task: SimWorkload = (process, { command, environment }) => {
    process.timers.after(200 + process.random.unit() * 4_000, () => {
      completed.push(`${environment['POD_NAME']} ${command.at(-1)}`);
      process.exit(0);
    });
  };
  world.programs.unshift(
    shimProgram(({ command }) => (command.at(-1) === 'main' ? serviceWorkload : task)),
  );
  const run = async (): Promise<void> => {
    await fleet.found();
    const random = world.random('deaths');
    for (let index = 0; index < podsCount; index += 1) {
      await ensureCreated(fleet.operator, resources.pods, podOf(index));
    }
    for (let round = 0; round < 30; round += 1) {
      await sleep(world.timers, random.between(100, 6_000));
      const node = random.pick(fleet.nodes);
      node.crash();
      await sleep(world.timers, random.between(100, 3_000));
      beforeAgent?.(node);
      fleet.startAgent(node);
    }
    await sleep(world.timers, 60_000);
    const { items } = await fleet.operator.persist('a list', (client) =>
      client.list(resources.pods),
    );
    for (const { metadata, status } of items as unknown as Pod[]) {
      assert.equal(status?.phase, 'Running', metadata.name);
      assert.equal(status?.containerStatuses?.[0]?.restartCount, 0, metadata.name);
    }
    assert.equal(items.length, podsCount);
  };
  await world.settle(Promise.race([run(), fleet.failed]), limitMs);
  return completed;
}

const isExit = ({ name }: { readonly name: string }): boolean => name === 'exit.json';

function isOnceAndInOrder(completed: readonly string[]): boolean {
  return Array.from({ length: podsCount }, (_, index) => `pod-${index}`).every((pod) => {
    const own = completed.filter((one) => one.startsWith(`${pod} `));
    return own.join() === `${pod} task-1,${pod} task-2`;
  });
}

for (const seed of [41, 42, 43]) {
  test(`init containers complete once and in order, over the deaths of agents (seed ${seed})`, async () => {
    const completed = await completions(seed);
    assert.ok(isOnceAndInOrder(completed), completed.join('; '));
  });
}

test('an agent that forgets what has completed does it again, and that is seen', async () => {
  const completed = await completions(41, (host) => {
    const { tree } = host.machineDisk;
    for (const { name } of tree.list(podsFolder)) {
      const hasEnded = tree.list(`${podsFolder}/${name}/task-1`).some(isExit);
      if (!hasEnded) continue;
      tree.remove(`${podsFolder}/${name}/task-1`);
      tree.remove(`${podsFolder}/${name}/pod.json`);
    }
  });
  assert.equal(isOnceAndInOrder(completed), false);
});
