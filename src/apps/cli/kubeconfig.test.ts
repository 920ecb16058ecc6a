import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergedConfig, renamedConfig } from './kubeconfig.ts';

const fleet = renamedConfig(
  {
    clusters: [{ name: 'selvage', cluster: { server: 'https://127.0.0.1:7443' } }],
    users: [{ name: 'admin', user: { 'client-key-data': 'a2V5' } }],
    contexts: [{ name: 'selvage', context: { cluster: 'selvage', user: 'admin' } }],
  },
  'lab',
);

test('a fleet is added beside the clusters that are there, and is not made current unasked', () => {
  const present = {
    clusters: [{ name: 'other', cluster: { server: 'https://10.0.0.1' } }],
    users: [{ name: 'other', user: { token: 'x' } }],
    contexts: [{ name: 'other', context: { cluster: 'other', user: 'other' } }],
    'current-context': 'other',
    preferences: { colors: true },
  };
  const merged = mergedConfig(present, fleet, false);
  assert.deepEqual(
    (merged['clusters'] as { name: string }[]).map(({ name }) => name),
    ['other', 'lab'],
  );
  assert.equal(merged['current-context'], 'other');
  assert.deepEqual(merged['preferences'], { colors: true });
  assert.equal(mergedConfig(present, fleet, true)['current-context'], 'lab');
});

test('merging twice changes nothing more, and an empty file takes the fleet as current', () => {
  const once = mergedConfig({}, fleet, false);
  assert.deepEqual(mergedConfig(once, fleet, false), once);
  assert.equal(once['current-context'], 'lab');
  assert.deepEqual(once['contexts'], [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }]);
});
