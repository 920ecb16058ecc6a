import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CustomResourceDefinition } from '#platform/api/mod.ts';
import { planLeaving, planStatus } from './plan-definition.ts';

const [before, now] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'];

function definition(
  plural: string,
  kind: string,
  changes: Partial<CustomResourceDefinition> = {},
): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.cars.example` },
    spec: {
      group: 'cars.example',
      scope: 'Cluster',
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: 'v1', served: true, storage: true }],
    },
    ...changes,
  };
}

function conditionsOf(status: CustomResourceDefinition['status']): readonly string[] {
  return (status?.conditions ?? []).map(
    ({ type, status, reason, lastTransitionTime }) =>
      `${type} ${status} ${reason ?? ''} ${lastTransitionTime ?? ''}`,
  );
}

test('names that are free are accepted, and the kind is established', () => {
  const wheel = definition('wheels', 'Wheel');
  const status = planStatus(wheel, [wheel], now);
  assert.deepEqual(conditionsOf(status), [
    `NamesAccepted True NoConflicts ${now}`,
    `Established True InitialNamesAccepted ${now}`,
  ]);
  assert.deepEqual([status.acceptedNames, status.storedVersions], [wheel.spec.names, ['v1']]);
  const again = planStatus({ ...wheel, status }, [wheel], '2026-01-03T00:00:00Z');
  assert.deepEqual(again, status);
});

test('a name that another has is refused until that one gives it up', () => {
  const wheel = definition('wheels', 'Wheel');
  const first = { ...wheel, status: planStatus(wheel, [wheel], before) };
  const second = definition('tyres', 'Wheel');
  const refused = planStatus(second, [first, second], now);
  assert.deepEqual(conditionsOf(refused), [
    `NamesAccepted False SingularConflict ${now}`,
    `Established False NotAccepted ${now}`,
  ]);
  assert.equal(refused.acceptedNames?.plural, '');
  const waiting = { ...second, status: refused };
  const accepted = planStatus(waiting, [waiting], now);
  assert.equal(accepted.acceptedNames?.plural, 'tyres');
  const elsewhere = { ...second, spec: { ...second.spec, group: 'vans.example' } };
  assert.equal(planStatus(elsewhere, [first, elsewhere], now).acceptedNames?.kind, 'Wheel');
});

test('what is established stays so, and keeps every version it was stored in', () => {
  const wheel = definition('wheels', 'Wheel');
  const status = planStatus(wheel, [wheel], before);
  const rival = definition('rims', 'Rim');
  const rivalStatus = planStatus(rival, [rival], before);
  const renamed: CustomResourceDefinition = {
    ...wheel,
    status,
    spec: {
      ...wheel.spec,
      names: { ...wheel.spec.names, shortNames: ['rims'] },
      versions: [
        { name: 'v1', served: true, storage: false },
        { name: 'v2', served: true, storage: true },
      ],
    },
  };
  const next = planStatus(renamed, [renamed, { ...rival, status: rivalStatus }], now);
  assert.deepEqual(conditionsOf(next), [
    `NamesAccepted False ShortNamesConflict ${now}`,
    `Established True InitialNamesAccepted ${before}`,
  ]);
  assert.equal(next.acceptedNames?.shortNames, undefined);
  assert.deepEqual(next.storedVersions, ['v1', 'v2']);
});

test('while objects are left the definition says that they are being deleted', () => {
  const wheel = definition('wheels', 'Wheel');
  assert.deepEqual(conditionsOf(planLeaving(wheel, 2, now)), [
    `Terminating True InstanceDeletionInProgress ${now}`,
  ]);
});
