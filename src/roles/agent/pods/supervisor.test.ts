import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import { createNodeClock } from '#platform/io/node/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { openNode as openNodeWith } from './node-harness.contract.ts';

const programs = {
  'server.mjs': `import { createServer } from 'node:http';
    const server = createServer((_, response) => response.end(JSON.stringify(process.env)));
    server.listen(8080, process.env.HOST, () => console.log('ready'));
    process.on('SIGTERM', () => process.exit(0));`,
  'fails.mjs': `process.exit(5);`,
  'ends.mjs': `console.log('done');`,
};

const openNode = () => openNodeWith(programs);

function givenUp(pod: StoredObject, id: string): StoredObject {
  const verdict = { revision: 2 as never, bytes: utf8(JSON.stringify({ lost: { id } })) };
  return { ...pod, facets: { ...pod.facets, verdict } };
}

function get(host: string): Promise<Record<string, string>> {
  return new Promise((resolve, reject) => {
    const sent = request({ host, port: 8080 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(JSON.parse(text) as Record<string, string>));
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('a pod of the slice runs, answers, is adopted, ends on deletion and is forgotten', async () => {
  await using node = await openNode();
  const { runtime } = await node.open();
  node.putNode();
  node.replica.change('put', node.podOf('web', 'uid-1'));
  await node.until('running', () => node.reports('uid-1').at(-1)?.status.phase === 'Running');
  const status = node.reports('uid-1').at(-1)?.status;
  assert.equal(status?.podIP, `${node.podNetwork}.1`);
  assert.deepEqual(
    status?.conditions?.map(({ type, status: holds }) => `${type}=${holds}`),
    ['PodScheduled=True', 'Initialized=True', 'ContainersReady=True', 'Ready=True'],
  );
  assert.match(status?.containerStatuses?.[0]?.imageID ?? '', /^app@sha256:/);
  assert.deepEqual(node.events('uid-1'), ['Pulling', 'Pulled', 'Created', 'Started']);
  assert.deepEqual(node.messages('uid-1').slice(0, 2), [
    'Pulling image "app:1"',
    'Successfully pulled image "app:1"',
  ]);
  const before = runtime.get({ podUid: 'uid-1', container: 'main' });
  let answer: Record<string, string> = {};
  for (let attempt = 0; attempt < 50 && answer['POD_IP'] === undefined; attempt += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    answer = await get(`${node.podNetwork}.1`).catch(() => ({}));
  }
  assert.deepEqual(
    ['POD_IP', 'POD_NAME', 'POD_NAMESPACE', 'NODE_NAME', 'HOST', 'FROM_IMAGE'].map(
      (name) => answer[name],
    ),
    [`${node.podNetwork}.1`, 'web', 'default', 'n1', `${node.podNetwork}.1`, 'yes'],
  );

  const count = node.entries.length;
  const second = await node.open();
  await new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
  assert.deepEqual(second.runtime.get({ podUid: 'uid-1', container: 'main' }), before);
  assert.equal(node.entries.length, count, 'nothing is said twice');

  const deletion = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 5 };
  const deleted = node.podOf('web', 'uid-1', {}, deletion);
  node.replica.change('put', deleted);
  await node.until('terminated', () => node.reports('uid-1').at(-1)?.terminated === true);
  assert.equal(node.reports('uid-1').at(-1)?.status.phase, 'Succeeded');
  node.replica.change('delete', deleted);
  await node.until('forgotten', () => !second.supervisor.hasPod('uid-1'));
  node.replica.change('put', node.podOf('web', 'uid-2'));
  await node.until('its successor', () => node.reports('uid-2').length > 0);
  await node.until('the same address again', () =>
    node.reports('uid-2').some((report) => report.status.podIP === `${node.podNetwork}.1`),
  );
});

test('a container that fails is restarted at once, then with a back-off', async () => {
  await using node = await openNode();
  await node.open();
  node.putNode();
  const containers = [{ name: 'main', image: 'app:1', command: ['fails.mjs'] }];
  node.replica.change('put', node.podOf('bad', 'uid-1', { containers }));
  node.replica.change('put', node.podOf('job', 'uid-2', { containers, restartPolicy: 'Never' }));
  const waiting = () => node.reports('uid-1').at(-1)?.status.containerStatuses?.[0];
  await node.until('a back-off', () => waiting()?.state?.waiting?.reason === 'CrashLoopBackOff');
  assert.equal(waiting()?.restartCount, 1);
  assert.equal(waiting()?.lastState?.terminated?.exitCode, 5);
  assert.equal(node.reports('uid-1').at(-1)?.status.phase, 'Running');
  assert.ok(node.events('uid-1').includes('BackOff'));
  await node.until('failed', () => node.reports('uid-2').at(-1)?.status.phase === 'Failed');
  assert.equal(node.reports('uid-2').at(-1)?.status.containerStatuses?.[0]?.restartCount, 0);
});

test('the wait before a restart goes on where it was after the agent is replaced', async () => {
  await using node = await openNode();
  const { runtime } = await node.open();
  node.putNode();
  const containers = [{ name: 'main', image: 'app:1', command: ['fails.mjs'] }];
  node.replica.change('put', node.podOf('bad', 'uid-1', { containers }));
  const waiting = () => node.reports('uid-1').at(-1)?.status.containerStatuses?.[0];
  const hasBackedOff = () => waiting()?.state?.waiting?.reason === 'CrashLoopBackOff';
  await node.until('a back-off', hasBackedOff);
  assert.deepEqual(
    node.events('uid-1').filter((reason) => ['Started', 'Exited', 'BackOff'].includes(reason)),
    ['Started', 'Exited', 'Started', 'Exited', 'BackOff'],
  );
  const before = runtime.get({ podUid: 'uid-1', container: 'main' });
  const second = await node.open();
  await new Promise((resolve) => {
    setTimeout(resolve, 500);
  });
  const run = second.runtime.get({ podUid: 'uid-1', container: 'main' });
  assert.equal(run?.containerId, before?.containerId, 'it is not started before its time');
  assert.equal(node.events('uid-1').filter((reason) => reason === 'Exited').length, 2);
  assert.ok(hasBackedOff());
});

test('the deadline of a pod that stops in a cut is there from its start, and moved on', async () => {
  await using node = await openNode();
  await node.open();
  node.putNode();
  const annotations = { 'selvage.dev/on-cut': 'stop-after=2s' };
  const spec = { terminationGracePeriodSeconds: 1 };
  node.replica.change('put', node.podOf('stops', 'uid-1', spec, { annotations }));
  node.replica.change('put', node.podOf('keeps', 'uid-2'));
  await node.until('running', () =>
    ['uid-1', 'uid-2'].every((uid) => node.reports(uid).at(-1)?.status.phase === 'Running'),
  );
  const first = node.deadline('uid-1') ?? 0;
  const leftMs = first - createNodeClock().bootMs();
  assert.ok(leftMs > 0 && leftMs <= 3_000, `${leftMs} ms`);
  await node.until('moved on', () => (node.deadline('uid-1') ?? 0) > first);
  assert.equal(node.deadline('uid-2'), undefined);
  // No longer to stop: the time is taken back.
  node.replica.change('put', node.podOf('stops', 'uid-1', spec));
  await node.until('taken back', () => node.deadline('uid-1') === undefined);
});

test('what cannot start says why, and absence from an incomplete slice stops nothing', async () => {
  await using node = await openNode();
  const { runtime } = await node.open();
  node.putNode();
  const failing = (image: string, command?: string[]) => ({
    containers: [{ name: 'main', image, ...(command === undefined ? {} : { command }) }],
  });
  node.replica.change('put', node.podOf('a', 'uid-a', failing('absent:1')));
  node.replica.change('put', node.podOf('b', 'uid-b', failing('unknown:1')));
  node.replica.change('put', node.podOf('c', 'uid-c', failing('app:1', ['/bin/sh'])));
  node.replica.change('put', node.podOf('d', 'uid-d'));
  const reasons = (uid: string) =>
    node
      .reports(uid)
      .map((report) => report.status.containerStatuses?.[0]?.state?.waiting?.reason)
      .filter((reason) => reason !== undefined && reason !== 'ContainerCreating');
  await node.until('both pull states', () => reasons('uid-a').includes('ImagePullBackOff'));
  assert.deepEqual(reasons('uid-a'), ['ErrImagePull', 'ImagePullBackOff']);
  // The hub has not said what it is, and then that it cannot.
  await node.until('undecided', () => node.reports('uid-b').length > 0);
  assert.deepEqual([reasons('uid-b'), node.events('uid-b')], [[], []]);
  const message = 'the registry of this fleet has no image unknown:1';
  const verdict = {
    conditions: [{ type: 'PodScheduled', status: 'False', reason: 'ImageUnknown', message }],
  };
  node.replica.change('put', node.podOf('b', 'uid-b', failing('unknown:1'), {}, verdict));
  await node.until('unknown', () => reasons('uid-b').includes('ImagePullBackOff'));
  assert.deepEqual(reasons('uid-b'), ['ErrImagePull', 'ImagePullBackOff']);
  assert.deepEqual(node.messages('uid-b'), [`Failed to pull image "unknown:1": ${message}`]);
  await node.until('refused', () => reasons('uid-c').includes('CreateContainerConfigError'));
  assert.equal(node.reports('uid-a').at(-1)?.status.phase, 'Pending');
  await node.until('runs', () => node.reports('uid-d').at(-1)?.status.phase === 'Running');

  node.replica.lose();
  node.leaveBehind('uid-long-gone');
  const again = await node.open();
  await new Promise((resolve) => {
    setTimeout(resolve, 300);
  });
  const key = { podUid: 'uid-d', container: 'main' };
  const run = again.runtime.get(key);
  assert.ok(run !== undefined && run.exit === undefined, 'it goes on');
  assert.equal(run.process?.pid, runtime.get(key)?.process?.pid);
  assert.ok(node.folders().includes('uid-long-gone'), 'nobody has said that it is gone');
  // The owner's complete slice, without the pod: now it is known to be gone.
  node.putNode();
  await node.until('ended', () => again.runtime.get(key) === undefined);
  await node.until('cleared', () => !node.folders().includes('uid-long-gone'));
});

test('of a pod that was given up nothing starts, what runs goes on, and the node says which', async () => {
  await using node = await openNode();
  const { runtime } = await node.open();
  node.putNode();
  node.replica.change('put', node.podOf('runs', 'uid-1'));
  await node.until('running', () => node.reports('uid-1').at(-1)?.status.phase === 'Running');
  const before = runtime.get({ podUid: 'uid-1', container: 'main' });
  node.replica.change('put', givenUp(node.podOf('runs', 'uid-1'), 'loss-1'));
  node.replica.change('put', givenUp(node.podOf('never', 'uid-2'), 'loss-1'));
  await node.until('both answered', () =>
    ['uid-1', 'uid-2'].every((uid) => node.reports(uid).at(-1)?.answersLost?.id === 'loss-1'),
  );
  assert.deepEqual(
    ['uid-1', 'uid-2'].map((uid) => node.reports(uid).at(-1)?.answersLost?.isRunning),
    [true, false],
  );
  assert.deepEqual(runtime.get({ podUid: 'uid-1', container: 'main' }), before);
  assert.equal(runtime.get({ podUid: 'uid-2', container: 'main' }), undefined);
  node.replica.change('put', node.podOf('never', 'uid-2'));
  await node.until('it starts once it counts again', () => {
    return node.reports('uid-2').at(-1)?.status.phase === 'Running';
  });
});

test('a pod that is to stop when cut off stops by itself, says so, and starts with the hub', async () => {
  await using node = await openNode();
  const { runtime } = await node.open();
  const key = { podUid: 'uid-1', container: 'main' };
  node.putNode();
  const annotations = { 'selvage.dev/on-cut': 'stop-after=1s' };
  node.replica.change('put', node.podOf('stops', 'uid-1', {}, { annotations }));
  node.replica.change('put', node.podOf('stays', 'uid-2'));
  const phase = (uid: string) => node.reports(uid).at(-1)?.status.phase;
  await node.until('both run', () => phase('uid-1') === 'Running' && phase('uid-2') === 'Running');
  node.setContact({ lastMs: createNodeClock().monotonicMs(), linkedSinceMs: undefined });
  await node.until('it has stopped', () => runtime.get(key)?.exit !== undefined);
  await node.until('it says why', () => {
    const waiting = node.reports('uid-1').at(-1)?.status.containerStatuses?.[0]?.state?.waiting;
    return waiting?.reason === 'StoppedByCutPolicy';
  });
  assert.ok(node.events('uid-1').includes('StoppedByCutPolicy'));
  assert.equal(runtime.get({ podUid: 'uid-2', container: 'main' })?.exit, undefined);
  node.setContact(undefined);
  await node.until('it runs again', () => runtime.get(key)?.exit === undefined);
});
