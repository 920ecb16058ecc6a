import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { planPlacement, type SchedulerPod } from './mod.ts';
import { node, pod } from './samples.contract.ts';

test('a pod that fits nowhere is told how many nodes each reason ruled out', () => {
  const nodes = [
    node('cordoned', { isUnschedulable: true }),
    node('down', { isReady: false }),
    node('tainted', { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] }),
    node('elsewhere', { labels: { site: 'x' } }),
    node('native', { labels: { site: 'y' }, platforms: ['linux/amd64'] }),
    node('small', {
      labels: { site: 'y' },
      allocatable: { cpuMilli: 100, memoryBytes: 1, podsMax: 1 },
    }),
    node('full', { labels: { site: 'y' }, requested: { cpuMilli: 0, memoryBytes: 0, pods: 10 } }),
  ];
  const asked = pod('a', {
    nodeSelector: { site: 'y' },
    requests: { cpuMilli: 500, memoryBytes: 10 },
  });
  const [placement] = planPlacement({ nodes, pods: [asked] }).placements;
  assert.ok(placement?.type === 'unplaced');
  assert.equal(
    placement.message,
    '0/7 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods, ' +
      "1 node(s) can't run an image for script/javascript, 1 node(s) didn't match Pod's node affinity/selector, " +
      '1 node(s) had untolerated taint {gpu: yes}, 1 node(s) were not ready, 1 node(s) were unschedulable.',
  );
});

test('pods of one owner go to different sites before they share one', () => {
  const nodes = [node('a1', { site: 'a' }), node('a2', { site: 'a' }), node('b1', { site: 'b' })];
  const { placements } = planPlacement({ nodes, pods: [pod('p'), pod('q')] });
  const names = placements.map((placement) => placement.type === 'placed' && placement.nodeName);
  assert.ok(names.includes('b1'), names.join());
  assert.equal(new Set(names).size, 2);
});

test('a pod goes only to nodes of one of its terms, and rather to those that it prefers', () => {
  const nodes = [
    node('n1', { labels: { disk: 'ssd', cores: '4' }, podsByOwner: { owner: 3 } }),
    node('n2', { labels: { disk: 'hdd', cores: '16' } }),
    node('n3', { labels: { cores: 'many' } }),
  ];
  type Condition = NonNullable<SchedulerPod['nodesRequired']>[number][number];
  const on = (key: string, operator: Condition['operator'], ...values: string[]): Condition => ({
    on: key === '' ? 'name' : 'label',
    key,
    operator,
    values,
  });
  const nodeFor = (changes: Partial<SchedulerPod>): string | undefined => {
    const [placement] = planPlacement({ nodes, pods: [pod('p', changes)] }).placements;
    return placement?.type === 'placed' ? placement.nodeName : undefined;
  };
  const cases: readonly [Condition[][], string | undefined][] = [
    [[[on('disk', 'In', 'ssd', 'nvme')]], 'n1'],
    [[[on('disk', 'Exists'), on('cores', 'Gt', '4')]], 'n2'],
    [[[on('cores', 'Lt', '5')]], 'n1'],
    [[[on('disk', 'DoesNotExist')]], 'n3'],
    [[[on('disk', 'NotIn', 'ssd'), on('', 'NotIn', 'n3')]], 'n2'],
    [[[on('disk', 'In', 'none')], [on('', 'In', 'n3')]], 'n3'],
    [[[]], undefined],
    [[], undefined],
  ];
  for (const [nodesRequired, expected] of cases) {
    assert.equal(nodeFor({ nodesRequired }), expected, JSON.stringify(nodesRequired));
  }
  const prefers = (weight: number, ...term: Condition[]) => ({ weight, term });
  const ssd = prefers(2, on('disk', 'In', 'ssd'));
  assert.equal(nodeFor({ nodesPreferred: [ssd] }), 'n1', 'before being apart from its like');
  const large = prefers(3, on('cores', 'Gt', '8'));
  assert.equal(nodeFor({ nodesPreferred: [ssd, large] }), 'n2');
});

test('a toleration opens a tainted node, and an exists toleration without key opens every node', () => {
  const nodes = [node('n', { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] })];
  const outcome = (tolerations: SchedulerPod['tolerations']): string | undefined =>
    planPlacement({ nodes, pods: [pod('p', { tolerations })] }).placements[0]?.type;
  assert.equal(outcome([]), 'unplaced');
  assert.equal(outcome([{ key: 'k', operator: 'Equal', value: 'w' }]), 'unplaced');
  assert.equal(
    outcome([{ key: 'k', operator: 'Equal', value: 'v', effect: 'NoExecute' }]),
    'placed',
  );
  assert.equal(outcome([{ operator: 'Exists' }]), 'placed');
});

const arbitraryNode = fc.record({
  isReady: fc.boolean(),
  isUnschedulable: fc.boolean(),
  zone: fc.constantFrom('x', 'y'),
  tainted: fc.boolean(),
  cpuMilli: fc.integer({ min: 0, max: 2000 }),
  podsMax: fc.integer({ min: 0, max: 5 }),
  used: fc.integer({ min: 0, max: 500 }),
});
const arbitraryPod = fc.record({
  cpuMilli: fc.integer({ min: 0, max: 900 }),
  zone: fc.option(fc.constantFrom('x', 'y')),
  tolerant: fc.boolean(),
  owner: fc.constantFrom('o1', 'o2'),
});

test('no plan exceeds a node or breaks a filter, and the same input gives the same plan', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryNode, { maxLength: 8 }),
      fc.array(arbitraryPod, { maxLength: 25 }),
      (someNodes, somePods) => {
        const nodes = someNodes.map((some, index) =>
          node(`n${index}`, {
            isReady: some.isReady,
            isUnschedulable: some.isUnschedulable,
            labels: { zone: some.zone },
            taints: some.tainted ? [{ key: 't', value: '', effect: 'NoSchedule' }] : [],
            allocatable: { cpuMilli: some.cpuMilli, memoryBytes: 0, podsMax: some.podsMax },
            requested: { cpuMilli: some.used, memoryBytes: 0, pods: 0 },
          }),
        );
        const pods = somePods.map((some, index) =>
          pod(`p${index}`, {
            requests: { cpuMilli: some.cpuMilli, memoryBytes: 0 },
            nodeSelector: some.zone === null ? {} : { zone: some.zone },
            tolerations: some.tolerant ? [{ key: 't', operator: 'Exists' }] : [],
            ownerUid: some.owner,
          }),
        );
        const plan = planPlacement({ nodes, pods });
        assert.deepEqual(planPlacement({ nodes, pods }), plan);
        assert.deepEqual(
          plan.placements.map((placement) => placement.pod),
          pods,
        );
        const cpu = new Map<string, number>();
        const count = new Map<string, number>();
        for (const placement of plan.placements) {
          if (placement.type === 'unplaced') continue;
          const { nodeName, pod: placed } = placement;
          const target = nodes.find((each) => each.name === nodeName);
          assert.ok(target?.isReady && !target.isUnschedulable);
          assert.ok(target.taints.length === 0 || placed.tolerations.length > 0);
          const { zone } = placed.nodeSelector;
          assert.ok(zone === undefined || target.labels['zone'] === zone);
          cpu.set(nodeName, (cpu.get(nodeName) ?? 0) + placed.requests.cpuMilli);
          count.set(nodeName, (count.get(nodeName) ?? 0) + 1);
          assert.ok((count.get(nodeName) ?? 0) <= target.allocatable.podsMax);
          const free = target.allocatable.cpuMilli - target.requested.cpuMilli;
          assert.ok((cpu.get(nodeName) ?? 0) <= Math.max(0, free));
        }
      },
    ),
    { seed: 7, numRuns: 300 },
  );
});

test('on equal nodes the pods of one owner differ by at most one from node to node', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 4 }),
      (nodeCount, podCount, siteCount) => {
        const nodes = Array.from({ length: nodeCount }, (_, index) =>
          node(`n${index}`, {
            site: `s${index % siteCount}`,
            allocatable: { cpuMilli: 10_000, memoryBytes: 10_000, podsMax: 100 },
          }),
        );
        const pods = Array.from({ length: podCount }, (_, index) => pod(`p${index}`));
        const counts = new Map(nodes.map((each) => [each.name, 0]));
        for (const placement of planPlacement({ nodes, pods }).placements) {
          assert.ok(placement.type === 'placed');
          counts.set(placement.nodeName, (counts.get(placement.nodeName) ?? 0) + 1);
        }
        assert.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 1);
      },
    ),
    { seed: 11 },
  );
});
