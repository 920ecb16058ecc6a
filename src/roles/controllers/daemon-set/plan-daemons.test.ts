import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { DaemonSetSpec, Node, Pod, PodSpec, Taint } from '#platform/api/mod.ts';
import { fitOf, nodeNameOf, specForNode } from './node-fit.ts';
import { revisionLabel } from '../shared/plan-revisions.ts';
import { planDaemons } from './plan-daemons.ts';

const early = '2026-01-01T00:00:00Z';
const nowMs = 1_767_229_200_000;

function node(name: string, labels: Record<string, string> = {}, taints: Taint[] = []): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: { taints } };
}

const podSpec: PodSpec = { containers: [{ name: 'main', image: 'app:1' }] };

function specWith(rollingUpdate: object, template: PodSpec = podSpec): DaemonSetSpec {
  const updateStrategy = { type: 'RollingUpdate' as const, rollingUpdate };
  return { selector: {}, template: { spec: template }, updateStrategy };
}

interface Traits {
  readonly hash?: string;
  readonly isReady?: boolean;
  readonly isLeaving?: boolean;
  readonly phase?: 'Running' | 'Failed';
}

let made = 0;

function pod(
  nodeName: string,
  { hash = 'new', isReady, isLeaving, phase = 'Running' }: Traits,
): Pod {
  made += 1;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `p${made}`,
      uid: `p${made}`,
      creationTimestamp: early,
      labels: { [revisionLabel]: hash },
      ...(isLeaving === true ? { deletionTimestamp: early } : {}),
    },
    spec: specForNode(podSpec, nodeName),
    status: {
      phase,
      conditions: [
        { type: 'Ready', status: isReady === true ? 'True' : 'False', lastTransitionTime: early },
      ],
    },
  };
}

function plan(spec: DaemonSetSpec, nodes: readonly Node[], pods: readonly Pod[]) {
  const asked = new Set<string>();
  return planDaemons({ spec, hash: 'new', nodes, pods, asked, nowMs, retryAtMs: () => 0 });
}

test('selectors, required affinity and taints say where a daemon belongs, and where it may stay', () => {
  const taint = (key: string, effect: Taint['effect']): Taint => ({ key, effect });
  const labelled = node('a', { disk: 'ssd', rack: '3' });
  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'rack', operator: 'Gt' as const, values: ['2'] }] },
        ],
      },
    },
  };
  const fits = (one: Node, spec: Partial<PodSpec> = {}): string => {
    const { shouldRun, mayStay } = fitOf(one, { ...podSpec, ...spec });
    return `${shouldRun ? 'run' : 'not'} ${mayStay ? 'stay' : 'go'}`;
  };
  assert.equal(fits(labelled, { nodeSelector: { disk: 'ssd' }, affinity }), 'run stay');
  assert.equal(fits(node('b', { disk: 'ssd', rack: '1' }), { affinity }), 'not go');
  assert.equal(fits(labelled, { nodeSelector: { disk: 'hdd' } }), 'not go');
  assert.equal(fits(labelled, { nodeName: 'b' }), 'not go');
  assert.equal(fits(node('c', {}, [taint('x', 'NoSchedule')])), 'not stay');
  assert.equal(fits(node('c', {}, [taint('x', 'NoExecute')])), 'not go');
  assert.equal(fits(node('c', {}, [taint('x', 'PreferNoSchedule')])), 'run stay');
  // Whatever becomes of its node, its daemons belong to it.
  for (const name of ['unreachable', 'not-ready', 'memory-pressure', 'unschedulable']) {
    const of = taint(`node.kubernetes.io/${name}`, 'NoSchedule');
    assert.equal(fits(node('d', {}, [of])), 'run stay', name);
  }
  const lost = taint('node.kubernetes.io/unreachable', 'NoExecute');
  assert.equal(fits(node('d', {}, [lost])), 'run stay');
});

test('a pod is tied to its node, and what else it asked of nodes is kept', () => {
  const spec = specForNode({ ...podSpec, nodeSelector: { disk: 'ssd' } }, 'a');
  assert.equal(nodeNameOf({ spec } as Pod), 'a');
  assert.deepEqual(spec.nodeSelector, { disk: 'ssd' });
});

test('a pod that ended is replaced, and nothing new comes before it is gone', () => {
  const failed = pod('a', { phase: 'Failed' });
  const first = plan(specWith({}), [node('a'), node('b')], [failed]);
  assert.deepEqual([first.create, first.remove, first.failed.length], [['b'], [failed], 1]);
  const leaving = pod('a', { isLeaving: true });
  assert.deepEqual(plan(specWith({}), [node('a')], [leaving]).create, []);
});

test('pods on nodes that are gone go, and the older of two stays', () => {
  const orphan = pod('gone', { isReady: true });
  const [one, two] = [pod('a', { isReady: true }), pod('a', { isReady: true })];
  const { create, remove, status } = plan(specWith({}), [node('a')], [orphan, one, two]);
  assert.deepEqual([create, remove], [[], [two, orphan]]);
  assert.equal(status.currentNumberScheduled, 1);
});

const anyPods = fc.array(
  fc.option(
    fc.record({
      hash: fc.constantFrom('old', 'new'),
      isReady: fc.boolean(),
      isLeaving: fc.boolean(),
      hasNewBeside: fc.boolean(),
    }),
    { nil: undefined },
  ),
  { minLength: 1, maxLength: 12 },
);

test('whatever there is, an update takes no more nodes out of service than it may', () => {
  fc.assert(
    fc.property(anyPods, fc.integer({ min: 1, max: 4 }), fc.boolean(), (there, bound, surges) => {
      const nodes = there.map((_, index) => node(`n${index}`));
      const pods = there.flatMap((traits, index) =>
        traits === undefined
          ? []
          : [
              pod(`n${index}`, traits),
              ...(surges && traits.hasNewBeside && traits.hash === 'old'
                ? [pod(`n${index}`, { isReady: false })]
                : []),
            ],
      );
      const rollingUpdate = surges
        ? { maxSurge: bound, maxUnavailable: 0 }
        : { maxUnavailable: bound };
      const { create, remove } = plan(specWith(rollingUpdate), nodes, pods);
      const serves = (gone: readonly Pod[], name: string): boolean =>
        pods.some(
          (one) =>
            nodeNameOf(one) === name &&
            one.metadata.deletionTimestamp === undefined &&
            one.status?.conditions?.[0]?.status === 'True' &&
            !gone.includes(one),
        );
      const names = nodes.map(({ metadata }) => metadata.name);
      const before = names.filter((name) => !serves([], name)).length;
      const after = names.filter((name) => !serves(remove, name)).length;
      assert.ok(after <= Math.max(before, surges ? 0 : bound), `${before} then ${after}`);
      assert.equal(new Set(create).size, create.length);
      for (const name of create) {
        const present = pods.filter(
          (one) => nodeNameOf(one) === name && !remove.includes(one),
        ).length;
        assert.ok(present <= (surges ? 1 : 0), 'never a third, without surge never a second');
      }
    }),
    { numRuns: 500, seed: 9 },
  );
});

test('the largest bounds are as good as all nodes', () => {
  const nodes = [node('a'), node('b')];
  const old = nodes.map(({ metadata }) => pod(metadata.name, { hash: 'old', isReady: true }));
  const bound = 2_147_483_647;
  assert.deepEqual(plan(specWith({ maxUnavailable: bound }), nodes, old).remove, old);
  const surge = plan(specWith({ maxSurge: bound, maxUnavailable: 0 }), nodes, old);
  assert.deepEqual([surge.create, surge.remove], [['a', 'b'], []]);
});
