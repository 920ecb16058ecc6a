import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  planPlacement,
  type SchedulerNode,
  type SchedulerPlacedPod,
  type SchedulerPod,
  type SchedulerSpread,
} from './mod.ts';
import { like, nodeWith, outcome, placed, pod, term } from './samples.contract.ts';

const inZone = (zone: string): Partial<SchedulerNode> => ({ labels: { zone, host: zone } });

function outcomes(nodes: readonly SchedulerNode[], pods: readonly SchedulerPod[]): string[] {
  return planPlacement({ nodes, pods }).placements.map(outcome);
}

test('a pod goes to where those are that it must be near to, or waits and says so', () => {
  const nodes = [
    nodeWith('a', [], inZone('one')),
    nodeWith('b', [placed('db', { labels: { app: 'db' } })], inZone('two')),
    nodeWith('c', [], inZone('two')),
    nodeWith('d', [], { labels: {} }),
  ];
  const near = [term('zone', 'app', 'db')];
  assert.deepEqual(outcomes([...nodes], [pod('p', { near })]), ['c']);
  const elsewhere = [{ ...term('zone', 'app', 'db'), namespaces: ['other'] }];
  assert.deepEqual(outcomes(nodes, [pod('p', { near: elsewhere })]), [
    "0/4 nodes are available: 4 node(s) didn't match pod affinity rules.",
  ]);
  const everywhere = [{ ...term('zone', 'app', 'db'), namespaces: 'all' as const }];
  assert.deepEqual(outcomes(nodes, [pod('p', { near: everywhere })]), ['c']);
  const toNobody = [{ namespaces: 'all' as const, topologyKey: 'zone' }];
  assert.match(outcomes(nodes, [pod('p', { near: toNobody })])[0] ?? '', /affinity rules/);
});

test('the first of pods that want to be together goes anywhere that is a place, the others follow', () => {
  const nodes = ['one', 'two', 'three'].map((zone) => nodeWith(`n-${zone}`, [], inZone(zone)));
  const near = [term('zone', 'app', 'web')];
  const pods = ['p', 'q', 'r'].map((name) => pod(name, { labels: { app: 'web' }, near }));
  assert.equal(new Set(outcomes(nodes, pods)).size, 1);
  const placeless = [nodeWith('x', [], { labels: {} })];
  assert.match(outcomes(placeless, pods)[0] ?? '', /didn't match pod affinity rules/);
});

test('pods that keep apart are not put together, whichever of them came first', () => {
  const away = [term('host', 'app', 'web')];
  const web = (name: string, changes: Partial<SchedulerPod> = {}): SchedulerPod =>
    pod(name, { labels: { app: 'web' }, away, ...changes });
  const nodes = [nodeWith('a', []), nodeWith('b', [])];
  const planned = outcomes(nodes, [web('p'), web('q'), web('r')]);
  assert.deepEqual(planned.slice(0, 2).sort(), ['a', 'b']);
  assert.equal(
    planned[2],
    "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
  );
  const aloof = placed('aloof', { labels: { app: 'web' }, away });
  assert.deepEqual(outcomes([nodeWith('a', [aloof])], [pod('plain', { labels: { app: 'web' } })]), [
    "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
  ]);
  assert.deepEqual(
    outcomes([nodeWith('a', [])], [web('p'), pod('plain', { labels: { app: 'web' } })]).slice(1),
    ["0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."],
  );
});

test('what is preferred of neighbours decides among nodes that are all possible', () => {
  const nodes = [
    nodeWith('a', [placed('cache', { labels: { app: 'cache' } })]),
    nodeWith('b', [placed('noise', { labels: { app: 'noise' } })]),
    nodeWith('c', []),
  ];
  const nearPreferred = [{ weight: 10, term: term('host', 'app', 'cache') }];
  const awayPreferred = [{ weight: 10, term: term('host', 'app', 'noise') }];
  assert.deepEqual(outcomes(nodes, [pod('p', { nearPreferred })]), ['a']);
  assert.deepEqual(outcomes(nodes.slice(1), [pod('p', { awayPreferred })]), ['c']);
  const both = {
    nearPreferred,
    awayPreferred: [{ weight: 11, term: term('host', 'app', 'cache') }],
  };
  assert.notDeepEqual(outcomes(nodes, [pod('p', both)]), ['a']);
});

const even: SchedulerSpread = {
  maxSkew: 1,
  topologyKey: 'zone',
  isRequired: true,
  selector: [like('app', 'web')],
  placesMin: 1,
  honorsAffinity: true,
  honorsTaints: false,
};

test('pods are spread over places as evenly as they ask for, and places that they cannot go to do not count', () => {
  const web = (name: string, spread: SchedulerSpread, more: Partial<SchedulerPod> = {}) =>
    pod(name, { labels: { app: 'web' }, spread: [spread], ownerUid: undefined, ...more });
  const crowded = ['x', 'y'].map((uid) => placed(uid, { labels: { app: 'web' } }));
  const nodes = [
    nodeWith('a', crowded, inZone('one')),
    nodeWith('b', [], inZone('two')),
    nodeWith('c', [], { labels: {} }),
  ];
  assert.deepEqual(outcomes(nodes, [web('p', even), web('q', even)]), ['b', 'b']);
  const small = nodes.map((one) =>
    one.name === 'b' ? { ...one, allocatable: { ...one.allocatable, podsMax: 0 } } : one,
  );
  assert.deepEqual(outcomes(small, [web('p', even)]), [
    "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints, " +
      "1 node(s) didn't match pod topology spread constraints (missing required label).",
  ]);
  const toOne = { nodeSelector: { host: 'one' } };
  assert.deepEqual(
    outcomes(small, [web('p', even, toOne)]),
    ['a'],
    'zone two is none of its places',
  );
  const blind = { ...even, honorsAffinity: false };
  assert.match(outcomes(small, [web('p', blind, toOne)])[0] ?? '', /topology spread/);
  const many = { ...even, placesMin: 3, maxSkew: 2 };
  assert.deepEqual(
    outcomes(
      nodes,
      ['p', 'q', 'r'].map((name) => web(name, many)),
    ).slice(0, 2),
    ['b', 'b'],
  );
  assert.match(
    outcomes(
      nodes,
      ['p', 'q', 'r'].map((name) => web(name, many)),
    )[2] ?? '',
    /topology spread/,
    'with fewer places than asked for, the emptiest counts as empty',
  );
  const rather = { ...even, isRequired: false };
  assert.deepEqual(outcomes(nodes, [web('p', rather)]), ['b']);
  assert.deepEqual(outcomes(small, [web('p', rather)]), ['a']);
});

const zones = ['one', 'two', 'three'] as const;
const arbitraryWish = fc.record({
  app: fc.constantFrom('web', 'db', 'log'),
  near: fc.option(fc.constantFrom('web', 'db')),
  away: fc.option(fc.constantFrom('web', 'db')),
  isSpread: fc.boolean(),
  key: fc.constantFrom('zone', 'host'),
});

test('no plan breaks a wish about neighbours, of those that were there or of those that came', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          zone: fc.constantFrom(...zones),
          apps: fc.array(fc.constantFrom('web', 'db'), { maxLength: 3 }),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      fc.array(arbitraryWish, { maxLength: 12 }),
      (someNodes, wishes) => {
        const nodes = someNodes.map(({ zone, apps }, index) =>
          nodeWith(
            `n${index}`,
            apps.map((app, at) => placed(`${index}-${at}`, { labels: { app } })),
            { labels: { zone, host: `n${index}` } },
          ),
        );
        const pods = wishes.map(({ app, near, away, isSpread, key }, index) =>
          pod(`p${index}`, {
            labels: { app },
            ...(near === null ? {} : { near: [term(key, 'app', near)] }),
            ...(away === null ? {} : { away: [term(key, 'app', away)] }),
            ...(isSpread ? { spread: [{ ...even, topologyKey: key }] } : {}),
          }),
        );
        const { placements } = planPlacement({ nodes, pods });
        const there: (SchedulerPlacedPod & { node: SchedulerNode })[] = nodes.flatMap((one) =>
          one.pods.map((each) => ({ ...each, node: one })),
        );
        const means = (
          wish: SchedulerPod['away'],
          other: { labels: Readonly<Record<string, string>> },
        ) =>
          (wish ?? []).some(({ selector = [] }) =>
            selector[0]?.values.includes(other.labels['app'] ?? ''),
          );
        for (const placement of placements) {
          if (placement.type === 'unplaced') continue;
          const { pod: own } = placement;
          const at = nodes.find(({ name }) => name === placement.nodeName);
          assert.ok(at !== undefined);
          const isTogether = (wish: SchedulerPod['away'], other: SchedulerNode): boolean =>
            (wish ?? []).every(
              ({ topologyKey }) => at.labels[topologyKey] === other.labels[topologyKey],
            );
          for (const other of there) {
            assert.ok(!(means(own.away, other) && isTogether(own.away, other.node)));
            assert.ok(!(means(other.away, own) && isTogether(other.away, other.node)));
          }
          if (own.near !== undefined) {
            const isMet = there.some(
              (other) => means(own.near, other) && isTogether(own.near, other.node),
            );
            const isFirst = !there.some((other) => means(own.near, other)) && means(own.near, own);
            assert.ok(isMet || isFirst);
          }
          for (const { topologyKey } of own.spread ?? []) {
            const counts = new Map(nodes.map(({ labels }) => [labels[topologyKey], 0]));
            for (const { labels, node } of [...there, { labels: own.labels, node: at }]) {
              const place = node.labels[topologyKey];
              if (labels['app'] === 'web') counts.set(place, (counts.get(place) ?? 0) + 1);
            }
            const here = counts.get(at.labels[topologyKey]) ?? 0;
            assert.ok(here - Math.min(...counts.values()) <= 1 || own.labels['app'] !== 'web');
          }
          there.push({ ...own, isEnding: false, since: 0, node: at });
        }
      },
    ),
    { numRuns: 300 },
  );
});
