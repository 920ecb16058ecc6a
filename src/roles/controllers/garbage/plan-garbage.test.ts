import assert from 'node:assert/strict';
import test from 'node:test';
import { type ApiObject, type ObjectMeta, StatusError } from '#platform/api/mod.ts';
import { blocksOwner, type OwnerState, planGarbage, saysOwnerIsGone } from './plan-garbage.ts';

function object(metadata: Partial<ObjectMeta>): ApiObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', ...metadata } };
}

function owner(uid: string): { apiVersion: string; kind: string; name: string; uid: string } {
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: uid, uid };
}

function plan(states: readonly OwnerState[], hasDependents = false): unknown {
  const owned = object({ ownerReferences: states.map((_, i) => owner(`o${i}`)) });
  return planGarbage(owned, ({ uid }) => states[Number(uid.slice(1))] ?? 'unknown', hasDependents);
}

test('an object goes when all of its owners are gone, and only then', () => {
  const keep = { type: 'keep' };
  const background = { type: 'delete', policy: 'Background' };
  const cases: [OwnerState[], unknown][] = [
    [[], keep],
    [['present'], keep],
    [['unknown'], keep],
    [['gone'], background],
    [['gone', 'gone'], background],
    [['gone', 'present'], { type: 'dropOwners', ownerReferences: [owner('o1')] }],
    [['unknown', 'gone'], { type: 'dropOwners', ownerReferences: [owner('o0')] }],
    [['waiting', 'present'], { type: 'dropOwners', ownerReferences: [owner('o1')] }],
    [['waiting'], background],
  ];
  assert.deepEqual(
    cases.map(([states]) => plan(states)),
    cases.map(([, expected]) => expected),
  );
});

test('under an owner that waits, an object with dependents waits for them too', () => {
  assert.deepEqual(plan(['waiting'], true), { type: 'delete', policy: 'Foreground' });
});

test('an object that is being deleted does what its finalizers say', () => {
  const leaving = (finalizers: string[]): unknown =>
    planGarbage(
      object({ deletionTimestamp: '2026-01-01T00:00:00Z', finalizers }),
      () => 'gone',
      true,
    ).type;
  assert.deepEqual(
    [leaving(['orphan']), leaving(['foregroundDeletion']), leaving(['somebody.else/waits'])],
    ['orphanDependents', 'deleteDependents', 'keep'],
  );
});

test('only a reference that says so blocks its owner', () => {
  const blocking = object({ ownerReferences: [{ ...owner('a'), blockOwnerDeletion: true }] });
  assert.equal(blocksOwner(blocking, 'a'), true);
  assert.equal(blocksOwner(blocking, 'b'), false);
  assert.equal(blocksOwner(object({ ownerReferences: [owner('a')] }), 'a'), false);
});

test('an owner is gone when an answer names it, and not when a path is not there', () => {
  const answers = [
    new StatusError('NotFound', 'replicasets.apps "o1" not found', { name: 'o1' }),
    new StatusError('NotFound', 'namespaces "o2" not found', { name: 'o2' }),
    new StatusError('NotFound', 'the server could not find the requested resource'),
    new StatusError('Forbidden', 'not for you', { name: 'o1' }),
    new Error('o1'),
  ];
  assert.deepEqual(
    answers.map((answer) => saysOwnerIsGone(answer, owner('o1'))),
    [true, false, false, false, false],
  );
});
