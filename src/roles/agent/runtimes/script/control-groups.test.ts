import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planGroups } from './control-groups.ts';

const key = { podUid: 'uid-1', container: 'main' };
const controllers = ['memory', 'cpu', 'pids'];

test('with a hierarchy for each controller there is a group in each', () => {
  const plan = planGroups({ version: 1, root: '/g', controllers }, key, {
    memoryBytes: 1_000,
    cpuMillis: 250,
  });
  assert.deepEqual(plan, {
    steps: [
      '/g/memory/selvage/uid-1-main/',
      '/g/cpu/selvage/uid-1-main/',
      '/g/pids/selvage/uid-1-main/',
      '/g/pids/selvage/uid-1-main/pids.max=256',
      '/g/memory/selvage/uid-1-main/memory.limit_in_bytes=1000',
      '/g/cpu/selvage/uid-1-main/cpu.cfs_period_us=100000',
      '/g/cpu/selvage/uid-1-main/cpu.cfs_quota_us=25000',
    ],
    groups: [
      '/g/memory/selvage/uid-1-main',
      '/g/cpu/selvage/uid-1-main',
      '/g/pids/selvage/uid-1-main',
    ],
    isRequired: true,
  });
});

test('with one hierarchy controllers are handed down before the group is made', () => {
  const { steps, groups } = planGroups(
    { version: 2, root: '/g', controllers: ['cpu', 'pids'] },
    key,
    {
      cpuMillis: 1,
    },
  );
  assert.deepEqual(steps, [
    '/g/selvage/',
    '/g/cgroup.subtree_control=+cpu',
    '/g/selvage/cgroup.subtree_control=+cpu',
    '/g/cgroup.subtree_control=+pids',
    '/g/selvage/cgroup.subtree_control=+pids',
    '/g/selvage/uid-1-main/',
    '/g/selvage/uid-1-main/pids.max=256',
    '/g/selvage/uid-1-main/cpu.max=1000 100000',
  ]);
  assert.deepEqual(groups, ['/g/selvage/uid-1-main']);
});

test('without control groups a start goes on unless somebody asked for a limit', () => {
  assert.deepEqual(planGroups(undefined, key), { steps: [], groups: [], isRequired: false });
  assert.equal(planGroups(undefined, key, { memoryBytes: 1 }).isRequired, true);
  // How many processes there may be is ours to bound, and nobody's wish.
  assert.equal(planGroups(undefined, key, { processes: 5 }).isRequired, false);
});
