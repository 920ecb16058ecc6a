// Preemption, neighbours and runtime classes with every role in virtual time: the server
// dies in the middle, and the pods of less priority end by themselves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#base/mod.ts';
import { type ApiObject, conditionOf, type Pod, resources } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { createWorld, type World } from '#platform/sim/mod.ts';
import { imageName } from './constants.ts';
import { Fleet } from './fleet.ts';
import { ensureCreated } from './operator.ts';

const limitMs = 3_600_000;
const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function pod(name: string, cpu: string, more: JsonObject = {}, labels = {}): ApiObject {
  const container = {
    name: 'main',
    image: `${imageName}:latest`,
    resources: { requests: { cpu } },
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: { containers: [container], terminationGracePeriodSeconds: 5, ...more },
  };
}

const important: ApiObject = {
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  metadata: { name: 'important' },
  ...{ value: 1000 },
};

interface Stage {
  readonly world: World;
  readonly fleet: Fleet;
  readonly create: (
    resource: Parameters<typeof ensureCreated>[1],
    object: ApiObject,
  ) => Promise<void>;
  readonly pods: () => Promise<readonly Pod[]>;
  /** Waits in virtual time. */
  readonly until: (what: string, holds: (pods: readonly Pod[]) => boolean) => Promise<void>;
}

async function inFleet(seed: number, nodes: number, run: (stage: Stage) => Promise<void>) {
  const world = createWorld({ seed, drainMicrotasks });
  const fleet = new Fleet(world, nodes);
  const pods = async (): Promise<readonly Pod[]> => {
    const { items } = await fleet.operator.persist('a list', (client) =>
      client.list(resources.pods, { namespace: 'default' }),
    );
    return items as readonly Pod[];
  };
  const stage: Stage = {
    world,
    fleet,
    pods,
    create: (resource, object) => ensureCreated(fleet.operator, resource, object),
    async until(what, holds) {
      for (let tries = 0; tries < 300; tries += 1) {
        if (holds(await pods())) return;
        await sleep(world.timers, 400);
      }
      const seen = (await pods()).map(({ metadata, spec, status }) => {
        const scheduled = conditionOf(status?.conditions, 'PodScheduled');
        return `${metadata.name} ${spec.nodeName} ${status?.phase} ${scheduled?.message ?? ''}`;
      });
      throw new Error(`not within two minutes: ${what}\n${seen.join('\n')}`);
    },
  };
  const story = async (): Promise<void> => {
    await fleet.found();
    await run(stage);
  };
  await world.settle(Promise.race([story(), fleet.failed]), limitMs);
}

const named = (pods: readonly Pod[], name: string): Pod | undefined =>
  pods.find(({ metadata }) => metadata.name === name);
const runs = (found: Pod | undefined): boolean => found?.status?.phase === 'Running';

for (const seed of [51, 52]) {
  test(`a pod of higher priority gets the room of one that ends for it, over a death of the server (seed ${seed})`, () =>
    inFleet(seed, 2, async ({ fleet, world, create, until, pods }) => {
      await create(resources.priorityClasses, important);
      for (const name of ['low-1', 'low-2', 'low-3']) {
        await create(resources.pods, pod(name, '1800m'));
      }
      await until('all run', (all) => all.length === 3 && all.every(runs));
      await create(resources.pods, pod('urgent', '3500m', { priorityClassName: 'important' }));
      await until('room is being made', (all) => {
        return named(all, 'urgent')?.status?.nominatedNodeName !== undefined;
      });
      const nominated = named(await pods(), 'urgent')?.status?.nominatedNodeName;
      const ending = (await pods()).filter(
        ({ metadata }) => metadata.deletionTimestamp !== undefined,
      );
      assert.equal(ending.length, 1, 'the node with one pod is the lesser harm');
      assert.equal(ending[0]?.spec.nodeName, nominated);
      assert.equal(
        conditionOf(ending[0]?.status?.conditions, 'DisruptionTarget')?.reason,
        'PreemptionByScheduler',
      );
      fleet.stopServer('crash');
      await sleep(world.timers, 1_000);
      fleet.startServer();
      await fleet.untilTrue('the server is back', () => fleet.server !== undefined);
      await until('it runs', (all) => runs(named(all, 'urgent')));
      const left = await pods();
      assert.deepEqual(
        left.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('low')).length,
        2,
      );
      assert.equal(named(left, 'urgent')?.spec.nodeName, nominated);
      assert.equal(named(left, 'urgent')?.status?.nominatedNodeName, undefined);
      const { items } = await fleet.operator.persist('events', (client) =>
        client.list(resources.events, { namespace: 'default' }),
      );
      const said = items.map((event) => event as unknown as { reason: string; message: string });
      const preempted = said.find(({ reason }) => reason === 'Preempted');
      assert.match(preempted?.message ?? '', /^Preempted by pod default\/urgent \(.+\) on node /);
    }));
}

test('pods that keep apart take a node each, and the next one comes when one of them goes', () =>
  inFleet(53, 3, async ({ fleet, create, until, pods }) => {
    const term = {
      labelSelector: { matchLabels: { app: 'apart' } },
      topologyKey: 'kubernetes.io/hostname',
    };
    const affinity = {
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] },
    };
    for (const name of ['a', 'b', 'c', 'd']) {
      await create(resources.pods, pod(name, '10m', { affinity }, { app: 'apart' }));
    }
    await until('three run', (all) => all.filter(runs).length === 3);
    const waiting = (await pods()).find(({ spec }) => spec.nodeName === undefined);
    assert.equal(
      conditionOf(waiting?.status?.conditions, 'PodScheduled')?.message,
      "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.",
    );
    const nodes = (await pods()).flatMap(({ spec }) => spec.nodeName ?? []);
    assert.equal(new Set(nodes).size, 3);
    const [first] = (await pods()).filter(runs);
    await fleet.operator.persist('a deletion', (client) =>
      client.delete(resources.pods, 'default', first?.metadata.name ?? ''),
    );
    await until('the fourth runs', (all) => runs(named(all, waiting?.metadata.name ?? '')));
  }));

test('a pod that wants to be near another waits for it, and goes to where it is', () =>
  inFleet(54, 3, async ({ create, until, pods }) => {
    const term = {
      labelSelector: { matchLabels: { app: 'db' } },
      topologyKey: 'kubernetes.io/hostname',
    };
    const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
    await create(resources.pods, pod('web', '10m', { affinity }));
    await until('it is told why it waits', (all) => {
      const scheduled = conditionOf(named(all, 'web')?.status?.conditions, 'PodScheduled');
      return scheduled?.message?.includes("3 node(s) didn't match pod affinity rules") === true;
    });
    await create(resources.pods, pod('db', '10m', {}, { app: 'db' }));
    await until('both run', (all) => all.length === 2 && all.every(runs));
    const all = await pods();
    assert.equal(named(all, 'web')?.spec.nodeName, named(all, 'db')?.spec.nodeName);
  }));

test('a runtime class sends its pods to nodes that have the runtime, or says that none has', () =>
  inFleet(55, 2, async ({ create, until }) => {
    const runtimeClass = (name: string, handler: string): ApiObject => ({
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name },
      ...{ handler },
    });
    await create(resources.runtimeClasses, runtimeClass('scripts', 'script'));
    await create(resources.runtimeClasses, runtimeClass('modules', 'wasm'));
    await create(resources.runtimeClasses, runtimeClass('virtual', 'kata'));
    await create(resources.pods, pod('a', '10m', { runtimeClassName: 'scripts' }));
    await create(resources.pods, pod('b', '10m', { runtimeClassName: 'modules' }));
    await create(resources.pods, pod('c', '10m', { runtimeClassName: 'virtual' }));
    const messageOf = (all: readonly Pod[], name: string): string =>
      conditionOf(named(all, name)?.status?.conditions, 'PodScheduled')?.message ?? '';
    await until('one runs and the others are told why', (all) => {
      return (
        runs(named(all, 'a')) &&
        messageOf(all, 'b').endsWith(
          'is for script/javascript; RuntimeClass modules runs wasi/wasm',
        ) &&
        messageOf(all, 'c').includes("2 node(s) didn't have the runtime kata")
      );
    });
  }));
