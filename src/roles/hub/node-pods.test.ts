// The rules for the pods of a node that is lost, comes back or is tainted, over the
// real store in virtual time. Each test says what it hears of the nodes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import { builtInDefinitions, foldObject, type Pod } from '#platform/api/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { type Change, type ObjectKey, openStore, type StoredObject } from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import { NodePods } from './node-pods.ts';
import { hubIndexes, metadataOf } from './stored-facets.ts';
import { Terminations } from './terminations.ts';

const limitMs = 3_600_000;
const freshWithinMs = 750;
const reconnectWithinMs = 16_000;
const controlled = { ownerReferences: [{ uid: 'set', controller: true }] };

interface Traits {
  readonly metadata?: JsonObject;
  readonly spec?: JsonObject;
  readonly report?: JsonObject;
}

async function openHub() {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 7, drainMicrotasks });
  const act = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, limitMs);
  const { clock, timers, random, disk, logger } = world.host('server').ports;
  const opening = openStore({ disk: disk.within('log'), random, logger }, { indexes: hubIndexes });
  const store = await act(opening);
  const said: string[] = [];
  const events: EventReports = {
    record: (_component, { key }, _severity, reason) => said.push(`${reason} ${key.name}`),
    deliver: () => Promise.resolve(true),
  };
  const heard = new Map<string, number>();
  const dependencies = { store, clock, timers, random, logger, events };
  const lastHeardMs = (name: string): number | undefined => heard.get(name);
  const options = { freshWithinMs, reconnectWithinMs };
  const nodePods = new NodePods({ ...dependencies, lastHeardMs }, options);
  const terminations = new Terminations(dependencies);
  store.watch(store.revision, (batch) => {
    nodePods.look(batch);
    terminations.look(batch);
  });
  nodePods.lookAtAll();

  const podKey = (name: string): ObjectKey => ({ resource: 'pods', namespace: 'default', name });
  const nodeKey = (name: string): ObjectKey => ({ resource: 'nodes', namespace: '', name });
  const write = async (
    key: ObjectKey,
    facets: Record<string, JsonObject | undefined>,
  ): Promise<void> => {
    const uid = (store.get(key)?.uid ?? random.uuid()) as StoredObject['uid'];
    const changes = Object.entries(facets).flatMap(([facet, value]): Change[] =>
      value === undefined
        ? []
        : [{ type: 'put', key, uid, facet: facet as 'intent', bytes: utf8(JSON.stringify(value)) }],
    );
    await act(store.transact(() => ({ changes, result: undefined })));
  };
  const podDefinition = builtInDefinitions.find(({ plural }) => plural === 'pods');
  assert.ok(podDefinition !== undefined);
  return {
    said,
    async node(name: string, ready: 'True' | 'Unknown', taints: JsonObject[] = []): Promise<void> {
      if (ready === 'True') heard.set(name, clock.monotonicMs());
      await write(nodeKey(name), {
        intent: { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { taints } },
        verdict: { ready, reason: '', message: '', sinceTime: '2026-01-01T00:00:00Z' },
      });
    },
    async pod(name: string, nodeName: string, traits: Traits = {}): Promise<void> {
      const { metadata = controlled, spec = {}, report } = traits;
      await write(podKey(name), {
        intent: {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name, namespace: 'default', ...metadata },
          spec: { containers: [{ name: 'main', image: 'app:1' }], ...spec },
        },
        assignment: { nodeName, images: { 'app:1': 'sha256:0' } },
        report: report ?? { status: { phase: 'Running' } },
      });
    },
    async answer(name: string, isRunning: boolean): Promise<void> {
      const verdict = store.get(podKey(name))?.facets.verdict?.bytes;
      const { lost } = JSON.parse(new TextDecoder().decode(verdict)) as { lost: { id: string } };
      const answersLost = { id: lost.id, isRunning };
      await write(podKey(name), { report: { status: { phase: 'Running' }, answersLost } });
    },
    async deleteNode(name: string): Promise<void> {
      await act(
        store.transact((view) => {
          const stored = view.get(nodeKey(name));
          assert.ok(stored !== undefined);
          return { changes: [{ type: 'delete', key: stored.key, uid: stored.uid }], result: 0 };
        }),
      );
    },
    /** Lets time pass; the named nodes are heard of all the time. */
    async pass(durationMs: number, alive: readonly string[] = []): Promise<void> {
      for (const endMs = clock.monotonicMs() + durationMs; clock.monotonicMs() < endMs;) {
        for (const name of alive) heard.set(name, clock.monotonicMs());
        await world.run(Math.min(endMs, clock.monotonicMs() + 100));
      }
    },
    metadata(name: string): JsonObject {
      const stored = store.get(podKey(name));
      assert.ok(stored !== undefined);
      return metadataOf(stored);
    },
    /** `gone`, `deleted`, `lost`, `unready` or `runs`. */
    state(name: string): string {
      const stored = store.get(podKey(name));
      if (stored === undefined) return 'gone';
      const pod = foldObject(podDefinition, stored) as Pod;
      if (pod.metadata.deletionTimestamp !== undefined) return 'deleted';
      if (pod.status?.reason === 'NodeLost') return 'lost';
      const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'False' ? 'unready' : 'runs';
    },
  };
}

const tolerating = (tolerationSeconds?: number): JsonObject => ({
  tolerations: [
    {
      key: 'node.kubernetes.io/unreachable',
      operator: 'Exists',
      effect: 'NoExecute',
      ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
    },
  ],
});

/** A hub that has heard of its nodes long enough to trust its own link. */
async function settled() {
  const hub = await openHub();
  await hub.node('a', 'True');
  await hub.node('b', 'True');
  await hub.pass(reconnectWithinMs + 100, ['a', 'b']);
  return hub;
}

test('pods of a lost node are given up when their toleration ends, and say why', async () => {
  const hub = await settled();
  await hub.pod('now', 'a');
  await hub.pod('later', 'a', { spec: tolerating(5) });
  await hub.pod('never', 'a', { spec: tolerating() });
  await hub.pod('ended', 'a', { report: { status: { phase: 'Failed' } } });
  await hub.pod('elsewhere', 'b');
  const states = (): string[] =>
    ['now', 'later', 'never', 'ended', 'elsewhere'].map((name) => hub.state(name));
  await hub.node('a', 'Unknown');
  await hub.pass(1_000, ['b']);
  assert.deepEqual(states(), ['lost', 'unready', 'unready', 'runs', 'runs']);
  await hub.pass(5_000, ['b']);
  assert.deepEqual(states(), ['lost', 'lost', 'unready', 'runs', 'runs']);
  for (const words of ['NodeNotReady now', 'TaintManagerEviction now', 'NodeNotReady never']) {
    assert.ok(hub.said.includes(words), hub.said.join());
  }
  await hub.node('a', 'True');
  await hub.pass(1_000, ['a', 'b']);
  assert.deepEqual(states(), ['lost', 'lost', 'runs', 'runs', 'runs'], 'the node has not answered');
});

test('when a node is back its answer decides about what was given up', async () => {
  const hub = await settled();
  await hub.pod('ran-on', 'a');
  await hub.pod('died', 'a');
  await hub.pod('nobodys', 'a', { metadata: {} });
  await hub.node('a', 'Unknown');
  await hub.pass(1_000, ['b']);
  await hub.answer('ran-on', true);
  await hub.pass(1_000, ['b']);
  assert.equal(hub.state('ran-on'), 'lost', 'not before the node itself is heard of');
  await hub.answer('died', false);
  await hub.answer('nobodys', false);
  await hub.node('a', 'True');
  await hub.pass(1_000, ['a', 'b']);
  assert.deepEqual(
    ['ran-on', 'died', 'nobodys'].map((name) => hub.state(name)),
    ['runs', 'deleted', 'runs'],
  );
});

test('a pod that stops by itself is not given up before it has surely stopped', async () => {
  const hub = await settled();
  await hub.pod('stops', 'a', {
    metadata: { ...controlled, annotations: { 'selvage.dev/on-cut': 'stop-after=60s' } },
    spec: { terminationGracePeriodSeconds: 10 },
  });
  await hub.node('a', 'Unknown');
  await hub.pass(73_000, ['b']);
  assert.equal(hub.state('stops'), 'unready', '60 s, 1 % of drift, 10 s of grace and a margin');
  await hub.pass(2_000, ['b']);
  assert.equal(hub.state('stops'), 'lost');
});

test('where nobody is heard of nothing is given up, and those who return get time', async () => {
  const hub = await settled();
  await hub.pod('web', 'a');
  await hub.pass(freshWithinMs + 1, []);
  await hub.node('a', 'Unknown');
  await hub.node('b', 'Unknown');
  await hub.pass(60_000, []);
  assert.equal(hub.state('web'), 'unready');
  await hub.node('b', 'True');
  await hub.pass(reconnectWithinMs - 2_000, ['b']);
  assert.equal(hub.state('web'), 'unready');
  await hub.pass(4_000, ['b']);
  assert.equal(hub.state('web'), 'lost');
});

test('a taint of a user deletes pods that do not tolerate it, after their seconds', async () => {
  const hub = await settled();
  const tolerations = (seconds?: number): JsonObject => ({
    tolerations: [
      {
        key: 'heat',
        operator: 'Equal',
        value: 'high',
        effect: 'NoExecute',
        ...(seconds === undefined ? {} : { tolerationSeconds: seconds }),
      },
    ],
  });
  await hub.pod('now', 'a');
  await hub.pod('later', 'a', { spec: tolerations(3) });
  await hub.pod('never', 'a', { spec: tolerations() });
  const states = (): string[] => ['now', 'later', 'never'].map((name) => hub.state(name));
  await hub.node('a', 'True', [{ key: 'heat', value: 'high', effect: 'NoSchedule' }]);
  await hub.pass(1_000, ['a', 'b']);
  assert.deepEqual(states(), ['runs', 'runs', 'runs']);
  const taint = { key: 'heat', value: 'high', effect: 'NoExecute' };
  await hub.node('a', 'True', [taint]);
  await hub.pass(1_000, ['a', 'b']);
  assert.deepEqual(states(), ['deleted', 'runs', 'runs']);
  await hub.node('a', 'True', []);
  await hub.pass(10_000, ['a', 'b']);
  assert.deepEqual(states(), ['deleted', 'runs', 'runs'], 'taken away in time');
  await hub.node('a', 'True', [taint]);
  await hub.pass(4_000, ['a', 'b']);
  assert.deepEqual(states(), ['deleted', 'deleted', 'runs']);
});

test('a pod with an endless grace gives way to a taint too, within a day', async () => {
  const hub = await settled();
  await hub.pod('endless', 'a', { spec: { terminationGracePeriodSeconds: 1_000_000_000_000 } });
  await hub.node('a', 'True', [{ key: 'heat', effect: 'NoExecute' }]);
  await hub.pass(1_000, ['a', 'b']);
  assert.equal(hub.state('endless'), 'deleted');
  assert.equal(hub.metadata('endless')['deletionGracePeriodSeconds'], 86_400);
});

test('silence never removes a pod; deleting its Node does', async () => {
  const hub = await settled();
  await hub.pod('web', 'a');
  await hub.pod('going', 'a', {
    metadata: { ...controlled, deletionTimestamp: '2026-01-01T00:00:00Z' },
  });
  await hub.pod('held', 'a', { metadata: { ...controlled, finalizers: ['example.com/hold'] } });
  await hub.node('a', 'Unknown');
  await hub.pass(86_400_000 / 24, ['b']);
  const states = (): string[] => ['web', 'going', 'held'].map((name) => hub.state(name));
  assert.deepEqual(states(), ['lost', 'deleted', 'lost']);
  await hub.deleteNode('a');
  await hub.pass(1_000, ['b']);
  assert.deepEqual(states(), ['gone', 'gone', 'deleted']);
});
