import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  type PlacementInput,
  planPlacement,
  type SchedulerPlacedPod,
  type SchedulerPod,
} from './mod.ts';
import { like, node, nodeWith, outcome, placed, pod, term } from './samples.contract.ts';

const cpu = (cpuMilli: number) => ({ requests: { cpuMilli, memoryBytes: 0 } });
const urgent = (changes: Partial<SchedulerPod> = {}): SchedulerPod =>
  pod('urgent', { priority: 100, ...cpu(600), ...changes });

/** `node: victims`, else the message. */
function nominated(input: Omit<PlacementInput, 'pods'>, asked = urgent()): string {
  const [placement] = planPlacement({ ...input, pods: [asked] }).placements;
  if (placement?.type !== 'unplaced' || placement.nomination === undefined)
    return outcome(placement);
  const { nodeName, victims } = placement.nomination;
  return `${nodeName}: ${victims.join(' ')}`;
}

test('those end whose end does the least harm, and nobody who could have stayed', () => {
  const low = placed('low', { priority: 1, ...cpu(500) });
  const lower = placed('lower', { priority: 0, ...cpu(500) });
  assert.equal(
    nominated({ nodes: [nodeWith('a', [low, lower])] }, urgent(cpu(500))),
    'a: lower',
    'half is enough',
  );
  const small = placed('small', { priority: 5, ...cpu(100) });
  assert.equal(
    nominated({ nodes: [nodeWith('a', [low, small]), nodeWith('b', [lower, small])] }),
    'b: lower',
    'the least important of the most important victims',
  );
  const two = ['x', 'y'].map((uid) => placed(uid, { priority: 1, ...cpu(450) }));
  const one = placed('z', { priority: 1, ...cpu(800) });
  assert.equal(nominated({ nodes: [nodeWith('a', two), nodeWith('b', [one])] }), 'b: z', 'fewer');
  const young = placed('young', { priority: 1, since: 9, ...cpu(800) });
  assert.equal(
    nominated({ nodes: [nodeWith('a', [one]), nodeWith('b', [young])] }),
    'b: young',
    'who has begun last',
  );
  const equal = placed('equal', { priority: 100, ...cpu(800) });
  assert.equal(
    nominated({
      nodes: [
        nodeWith('a', [equal]),
        nodeWith('b', [placed('l', cpu(800))], { isUnschedulable: true }),
      ],
    }),
    '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. ' +
      'preemption: 0/2 nodes are available: No preemption victims found for incoming pod.',
  );
});

test('budgets are kept where that is possible, and broken before a pod of higher priority waits', () => {
  const budget = { namespace: 'default', selector: [like('app', 'web')], allowed: 1 };
  const web = (uid: string) => placed(uid, { labels: { app: 'web' }, ...cpu(400) });
  const other = (uid: string) => placed(uid, { priority: 9, ...cpu(900) });
  const nodes = [nodeWith('a', [web('w1'), web('w2')]), nodeWith('b', [other('o')])];
  const all = urgent(cpu(700));
  assert.equal(
    nominated({ nodes, budgets: [budget] }, all),
    'b: o',
    'two of web would be too many',
  );
  assert.equal(nominated({ nodes: nodes.slice(0, 1), budgets: [budget] }, all), 'a: w1 w2');
  assert.equal(nominated({ nodes, budgets: [] }, all), 'a: w1 w2');
  const mixed = nodeWith('c', [web('w3'), placed('free', { priority: 3, ...cpu(600) })]);
  const none = { ...budget, allowed: 0 };
  assert.equal(nominated({ nodes: [mixed], budgets: [none] }), 'c: free', 'the other one instead');
});

test('a pod with the policy Never waits, and one of no higher priority than any is told nothing of it', () => {
  const nodes = [nodeWith('a', [placed('low', cpu(800))])];
  assert.equal(
    nominated({ nodes }, urgent({ mayPreempt: false })),
    '0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.',
  );
  assert.equal(
    nominated({ nodes }, urgent({ priority: 0 })),
    '0/1 nodes are available: 1 Insufficient cpu.',
  );
});

test('room that comes by itself is waited for, and is kept from pods of less priority', () => {
  const ending = placed('ending', { isEnding: true, ...cpu(800) });
  const staying = placed('staying', cpu(800));
  const nodes = [nodeWith('a', [ending]), nodeWith('b', [staying])];
  assert.equal(nominated({ nodes }), 'a: ');
  const again = urgent({ nominatedNode: 'a' });
  assert.equal(nominated({ nodes }, again), 'a: ');
  const { placements } = planPlacement({
    nodes: [node('a', { allocatable: { cpuMilli: 1000, memoryBytes: 0, podsMax: 9 } })],
    nominees: [{ uid: 'urgent', nodeName: 'a', priority: 100, ...cpu(600) }],
    pods: [
      pod('lesser', { priority: 1, ...cpu(500) }),
      pod('more', { priority: 200, ...cpu(500) }),
      again,
    ],
  });
  assert.deepEqual(placements.map(outcome), [
    '0/1 nodes are available: 1 Insufficient cpu.',
    'a',
    '0/1 nodes are available: 1 Insufficient cpu.',
  ]);
});

test('two pods in one plan do not count on the same room, nor on the same budget', () => {
  const low = (uid: string) => placed(uid, { labels: { app: 'web' }, ...cpu(800) });
  const nodes = ['a', 'b', 'c'].map((name) => nodeWith(name, [low(`on-${name}`)]));
  const budgets = [{ namespace: 'default', selector: [like('app', 'web')], allowed: 2 }];
  const pods = ['p', 'q'].map((name) => pod(name, { priority: 100, ...cpu(600) }));
  const { placements } = planPlacement({ nodes, pods, budgets });
  const victims = placements.flatMap((one) =>
    one.type === 'unplaced' ? (one.nomination?.victims ?? []) : [],
  );
  assert.equal(new Set(victims).size, 2, victims.join());
});

test('a pod that keeps others away ends for one that they keep away', () => {
  const aloof = placed('aloof', { away: [term('host', 'app', 'web')] });
  const asked = urgent({ labels: { app: 'web' }, ...cpu(0) });
  assert.equal(nominated({ nodes: [nodeWith('a', [aloof])] }, asked), 'a: aloof');
  const near = urgent({ near: [term('host', 'app', 'db')], ...cpu(600) });
  const db = placed('db', { labels: { app: 'db' }, priority: 100, ...cpu(300) });
  const filler = placed('filler', cpu(300));
  assert.equal(
    nominated({ nodes: [nodeWith('a', [db, filler])] }, near),
    'a: filler',
    'the one that it needs stays',
  );
});

const arbitraryPlaced = fc.record({
  priority: fc.integer({ min: 0, max: 5 }),
  cpuMilli: fc.integer({ min: 0, max: 600 }),
  isEnding: fc.boolean(),
});

test('victims are of less priority, make the room that is needed, and not one of them too many', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(arbitraryPlaced, { maxLength: 5 }), { minLength: 1, maxLength: 5 }),
      fc.array(
        fc.record({
          priority: fc.integer({ min: 0, max: 6 }),
          cpuMilli: fc.integer({ min: 1, max: 1000 }),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      (onNodes, asked) => {
        const nodes = onNodes.map((pods, index) =>
          nodeWith(
            `n${index}`,
            pods.map(({ cpuMilli, ...more }, at) =>
              placed(`${index}-${at}`, { ...more, ...cpu(cpuMilli), since: at }),
            ),
          ),
        );
        const pods = asked
          .map(({ priority, cpuMilli }, index) => pod(`p${index}`, { priority, ...cpu(cpuMilli) }))
          .sort((left, right) => right.priority - left.priority);
        const { placements } = planPlacement({ nodes, pods });
        const chosen = new Set<string>();
        /** What each node has left, with all that the plan says. */
        const left = new Map(
          nodes.map(({ name, pods: there }) => [
            name,
            1000 -
              there
                .filter(({ isEnding }) => !isEnding)
                .reduce((sum, one) => sum + one.requests.cpuMilli, 0),
          ]),
        );
        const take = (name: string, amount: number): void => {
          left.set(name, (left.get(name) ?? 0) - amount);
        };
        for (const placement of placements) {
          const { pod: own } = placement;
          if (placement.type === 'placed') {
            take(placement.nodeName, own.requests.cpuMilli);
            continue;
          }
          if (placement.nomination === undefined) continue;
          const { nodeName, victims } = placement.nomination;
          const there = nodes.find(({ name }) => name === nodeName)?.pods ?? [];
          const ending = victims.map((uid) =>
            there.find((one) => one.uid === uid),
          ) as SchedulerPlacedPod[];
          for (const victim of ending) {
            assert.ok(
              victim.priority < own.priority && !victim.isEnding && !chosen.has(victim.uid),
            );
            chosen.add(victim.uid);
            take(nodeName, -victim.requests.cpuMilli);
          }
          take(nodeName, own.requests.cpuMilli);
          assert.ok((left.get(nodeName) ?? 0) >= 0, 'there is room once they have gone');
          for (const victim of ending) {
            const without = (left.get(nodeName) ?? 0) - victim.requests.cpuMilli;
            assert.ok(without < 0, 'each of them is needed');
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});
