// Pods end on a disk that has no room, and give back what fills it. Nothing is kept while
// it is full: no record, no report, no event.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodSpec } from '#platform/api/mod.ts';
import { openNode as openNodeWith } from './node-harness.contract.ts';

const programs = {
  'serve.mjs': `import { createServer } from 'node:http';
    createServer((request, response) => {
      console.log('asked', request.url);
      response.end();
    }).listen(8080, process.env.HOST, () => console.log('ready'));
    process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0); });`,
};
const spec: Partial<PodSpec> = {
  terminationGracePeriodSeconds: 5,
  volumes: [{ name: 'data', emptyDir: {} }],
};
const why = 'The node was low on disk';

async function openNode(names: readonly string[], more: Partial<PodSpec> = {}) {
  const node = await openNodeWith(programs);
  const opened = await node.open();
  node.putNode();
  for (const name of names) {
    node.replica.change('put', node.podOf(name, `uid-${name}`, { ...spec, ...more }));
    await node.until('running', () => last(node, name)?.phase === 'Running');
    await node.until('serving', () => node.log(`uid-${name}`, 'main').includes('ready'));
  }
  return { node, ...opened };
}

type Node = Awaited<ReturnType<typeof openNodeWith>>;
const last = (node: Node, name: string) => node.reports(`uid-${name}`).at(-1)?.status;
const runs = (node: Node, name: string) => node.exitOf(`uid-${name}`, 'main') === undefined;

test('a pod that goes for room on a full disk makes it, and only then says so', async () => {
  const { node, supervisor } = await openNode(['a', 'b']);
  await using _node = node;
  node.fillDisk(() => node.hasVolumes('uid-a'));
  supervisor.evict('uid-a', why);
  assert.ok(supervisor.isEvicting());
  assert.deepEqual(
    supervisor.pods().map(({ uid }) => uid),
    ['uid-b'],
  );
  await node.until('failed', () => last(node, 'a')?.phase === 'Failed');
  assert.equal(last(node, 'a')?.reason, 'Evicted');
  assert.equal(last(node, 'a')?.message, why);
  assert.ok(!supervisor.isEvicting() && !node.hasVolumes('uid-a') && node.hasVolumes('uid-b'));
  supervisor.withdrawEvictions();
  const { supervisor: next } = await node.open();
  await node.until('looked after', () => next.hasPod('uid-a'));
  assert.ok(!runs(node, 'a') && runs(node, 'b'), 'it has failed for good');
  assert.deepEqual(node.started('uid-a'), ['main']);
  assert.deepEqual(
    next.pods().map(({ uid }) => uid),
    ['uid-b'],
  );
});

test('a pod that is deleted on a full disk hears its hook, makes room and is told to be over', async () => {
  const lifecycle = { preStop: { httpGet: { path: '/bye', port: 8080 } } };
  const containers = [{ name: 'main', image: 'app:1', lifecycle }];
  const { node } = await openNode(['a'], { containers });
  await using _node = node;
  node.fillDisk(() => node.hasVolumes('uid-a'));
  const deletion = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 5 };
  node.replica.change('put', node.podOf('a', 'uid-a', { ...spec, containers }, deletion));
  await node.until('over', () => node.reports('uid-a').at(-1)?.terminated === true);
  const lines = node.log('uid-a', 'main').split('\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('asked')),
    ['asked /bye', 'asked to end'],
  );
});

test('what a full disk could not keep of an end is forgotten with the agent, and nothing runs twice', async () => {
  const { node, supervisor } = await openNode(['a']);
  await using _node = node;
  node.fillDisk(() => true);
  supervisor.evict('uid-a', why);
  await node.until('ended', () => !runs(node, 'a') && !node.hasVolumes('uid-a'));
  const { supervisor: next, runtime } = await node.open();
  await node.until('looked after', () => next.hasPod('uid-a'));
  assert.ok(!runs(node, 'a'), 'not while its end cannot be kept');
  node.fillDisk(() => false);
  await node.until('one run after the other', () => runs(node, 'a'));
  assert.deepEqual(
    runtime.list().map(({ restartCount }) => restartCount),
    [1],
  );
});

test('a pod that has not begun to go stays once there is room again', async () => {
  const { node, supervisor } = await openNode(['a']);
  await using _node = node;
  supervisor.evict('uid-a', why);
  supervisor.evict('uid-late', why);
  await node.until('failed', () => last(node, 'a')?.phase === 'Failed');
  supervisor.withdrawEvictions();
  node.replica.change('put', node.podOf('late', 'uid-late', spec));
  await node.until('running', () => last(node, 'late')?.phase === 'Running');
  assert.deepEqual(
    supervisor.pods().map(({ uid }) => uid),
    ['uid-late'],
  );
});
