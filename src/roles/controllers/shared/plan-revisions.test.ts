import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { ControllerRevision, PodTemplate } from '#platform/api/mod.ts';
import {
  inOrderOfRevision,
  planRevision,
  planRevisionCleanup,
  revisionData,
} from './plan-revisions.ts';

function template(image: string): PodTemplate {
  return { spec: { containers: [{ name: 'main', image }] } };
}

function revision(image: string, number: number): ControllerRevision {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: `r-${image}`, namespace: 'default' },
    data: revisionData(template(image)),
    revision: number,
  };
}

test('a template that comes back goes to the top instead of being kept twice', () => {
  const [one, two] = [revision('a', 1), revision('b', 2)];
  assert.deepEqual(planRevision(template('a'), []), { type: 'create', number: 1 });
  assert.deepEqual(planRevision(template('b'), [two, one]), { type: 'keep', revision: two });
  assert.deepEqual(planRevision(template('a'), [two, one]), {
    type: 'raise',
    revision: one,
    to: 3,
  });
  assert.deepEqual(planRevision(template('c'), [two, one]), { type: 'create', number: 3 });
});

test('whatever templates come and go, each is there once and the present one is newest', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 0, max: 4 }),
      (images, historyMax) => {
        let held: readonly ControllerRevision[] = [];
        for (const image of images) {
          const step = planRevision(template(image), held);
          if (step.type === 'create') held = [...held, revision(image, step.number)];
          if (step.type === 'raise') {
            held = held.map((one) => (one === step.revision ? { ...one, revision: step.to } : one));
          }
          const inUse = new Set([`r-${image}`]);
          const surplus = new Set(planRevisionCleanup(held, inUse, historyMax));
          held = held.filter((one) => !surplus.has(one));
          assert.equal(inOrderOfRevision(held).at(-1)?.metadata.name, `r-${image}`);
          assert.equal(new Set(held.map(({ metadata }) => metadata.name)).size, held.length);
          assert.ok(held.length <= historyMax + 1);
        }
      },
    ),
    { numRuns: 200, seed: 3 },
  );
});

test('what pods were made from is never dropped, however old', () => {
  const all = [revision('a', 1), revision('b', 2), revision('c', 3), revision('d', 4)];
  const dropped = planRevisionCleanup(all, new Set(['r-a', 'r-d']), 1);
  assert.deepEqual(
    dropped.map(({ metadata }) => metadata.name),
    ['r-b'],
  );
});

test('the largest limit keeps all, and the largest number is counted on from', () => {
  const most = 2_147_483_647;
  const all = [revision('a', 1), revision('b', most)];
  assert.deepEqual(planRevisionCleanup(all, new Set(), most), []);
  assert.deepEqual(planRevision(template('c'), all), { type: 'create', number: most + 1 });
});
