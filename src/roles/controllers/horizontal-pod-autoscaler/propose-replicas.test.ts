import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { MetricTarget, Pod } from '#platform/api/mod.ts';
import { type MetricFacts, type PodSample, proposeReplicas } from './propose-replicas.ts';

const nowMs = 1_767_229_200_000;
const at = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();
const hourMs = 3_600_000;

interface Traits {
  /** Thousandths of a core; undefined: not measured. */
  readonly use?: number;
  readonly startedAgoMs?: number;
  readonly isReady?: boolean;
  readonly phase?: 'Running' | 'Pending' | 'Failed';
  readonly isLeaving?: boolean;
  readonly request?: string;
}

function factsOf(
  traits: readonly Traits[],
  change: Partial<MetricFacts> = {},
  currentReplicas = traits.length,
): MetricFacts {
  const samples = new Map<string, PodSample>();
  const pods = traits.map((one, index): Pod => {
    const { startedAgoMs = hourMs, isReady = true, phase = 'Running', request = '100m' } = one;
    const name = `p${index}`;
    if (one.use !== undefined) samples.set(name, { milli: one.use, atMs: nowMs, windowMs: 10_000 });
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        creationTimestamp: at(startedAgoMs),
        ...(one.isLeaving === true ? { deletionTimestamp: at(0) } : {}),
      },
      spec: {
        containers: [
          {
            name: 'main',
            image: 'app',
            resources: { requests: request === '' ? {} : { cpu: request } },
          },
        ],
      },
      status: {
        phase,
        startTime: at(startedAgoMs),
        conditions: [
          {
            type: 'Ready',
            status: isReady ? 'True' : 'False',
            lastTransitionTime: at(startedAgoMs - 20_000),
          },
        ],
      },
    };
  });
  const target: MetricTarget = { type: 'Utilization', averageUtilization: 50 };
  return {
    ...{ resource: 'cpu', container: undefined, target, pods, samples, currentReplicas, nowMs },
    ...{ toleranceUp: 0.1, toleranceDown: 0.1 },
    ...change,
  };
}

function proposed(facts: MetricFacts): number | string {
  const proposal = proposeReplicas(facts);
  return proposal.type === 'proposed' ? proposal.replicas : proposal.message;
}

const using = (...uses: number[]): Traits[] => uses.map((use) => ({ use }));

test('the number of pods follows what they use of what they request, rounded up', () => {
  assert.equal(proposed(factsOf(using(100, 100))), 4);
  assert.equal(proposed(factsOf(using(51, 100, 90))), 5);
  assert.equal(proposed(factsOf(using(10, 10, 10, 10))), 1);
  assert.equal(proposed(factsOf(using(0, 0))), 0);
  const value: MetricTarget = { type: 'AverageValue', averageValue: '25m' };
  assert.equal(proposed(factsOf(using(100, 50), { target: value })), 6);
});

test('within the tolerance nothing changes, each way in its own', () => {
  for (const use of [45, 50, 55]) assert.equal(proposed(factsOf(using(use, use))), 2);
  assert.equal(proposed(factsOf(using(56, 56))), 3);
  assert.equal(proposed(factsOf(using(60, 60), { toleranceUp: 0.25 })), 2);
  assert.equal(proposed(factsOf(using(20, 20, 20), { toleranceDown: 0.7 })), 3);
});

test('pods that end, have ended or are on their way out do not count', () => {
  const gone: Traits[] = [
    { use: 100, phase: 'Failed' },
    { use: 100, isLeaving: true },
  ];
  assert.equal(proposed(factsOf([...using(100), ...gone], {}, 1)), 2);
});

test('pods that were not measured damp a change, and never turn it round', () => {
  // Ratio 2 of the one that counts; with the other one at nothing it is 1.
  assert.equal(proposed(factsOf([{ use: 100 }, {}])), 2);
  assert.equal(proposed(factsOf([{ use: 400 }, {}])), 8);
  // Downwards the other one counts as if it used all that it requests.
  assert.equal(proposed(factsOf([{ use: 10 }, {}])), 2);
  assert.equal(proposed(factsOf([...using(5, 5, 5, 5, 5), {}])), 3);
});

test('pods that only start do not make the number rise', () => {
  const starting: Traits = { use: 400, startedAgoMs: 10_000, isReady: false };
  assert.equal(proposed(factsOf([{ use: 100 }, starting])), 2);
  assert.equal(proposed(factsOf([{ use: 100 }, { phase: 'Pending' }])), 2);
  // Measured before it was ready for as long as the measurement took.
  const fresh: Traits = { use: 400, startedAgoMs: 25_000 };
  assert.equal(proposed(factsOf([{ use: 50 }, fresh])), 2);
  // Memory is what it is from the start.
  const target: MetricTarget = { type: 'AverageValue', averageValue: '50m' };
  const memory = factsOf([{ use: 50 }, fresh], { resource: 'memory', target });
  assert.equal(proposed(memory), 9);
});

test('what cannot be told is said, and names the container or the pod', () => {
  assert.match(String(proposed(factsOf([{}]))), /no metrics returned/);
  assert.match(String(proposed(factsOf([]))), /no metrics returned/);
  assert.equal(
    proposed(factsOf([{ use: 1, request: '' }])),
    'missing request for cpu in container main of Pod p0',
  );
  assert.equal(
    proposed(factsOf(using(1), { container: 'side' })),
    'container side not found in Pod p0',
  );
});

test('whatever is not known, too many never become more and too few never fewer', () => {
  const trait = fc.record({
    use: fc.option(fc.integer({ min: 0, max: 500 }), { nil: undefined }),
    isReady: fc.boolean(),
    startedAgoMs: fc.constantFrom(1_000, 60_000, hourMs),
    phase: fc.constantFrom('Running' as const, 'Running' as const, 'Pending' as const),
  });
  fc.assert(
    fc.property(fc.array(trait, { minLength: 1, maxLength: 12 }), (traits) => {
      const known = traits.filter(({ use }) => use !== undefined) as Traits[];
      const facts = factsOf(traits as Traits[]);
      const proposal = proposeReplicas(facts);
      if (proposal.type === 'unknown') return;
      assert.ok(Number.isInteger(proposal.replicas) && proposal.replicas >= 0);
      const { utilization = 0 } = proposal;
      if (utilization > 55) assert.ok(proposal.replicas >= traits.length, 'used too much');
      if (utilization < 45) assert.ok(proposal.replicas <= traits.length, 'used too little');
      assert.ok(known.length > 0);
    }),
    { numRuns: 500, seed: 11 },
  );
});
