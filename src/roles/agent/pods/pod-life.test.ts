import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, PodSpec, Probe } from '#platform/api/mod.ts';
import { openNode as openNodeWith } from './node-harness.contract.ts';

const programs = {
  'serve.mjs': `import { createServer } from 'node:http';
    import { createServer as listen } from 'node:net';
    const state = { ready: process.argv[2] !== 'unready', alive: true };
    createServer((request, response) => {
      const path = request.url;
      if (path === '/hang') return;
      if (path === '/toggle') state.ready = !state.ready;
      if (path === '/die') state.alive = false;
      const isFine = path === '/ready' ? state.ready : path === '/live' ? state.alive : true;
      console.log('asked', path);
      response.writeHead(isFine ? 200 : 503).end();
    }).listen(8080, process.env.HOST, () => console.log('ready'));
    listen(() => {}).listen(8081, process.env.HOST);
    process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0); });`,
  'stubborn.mjs': `process.on('SIGTERM', () => console.log('no')); setInterval(() => {}, 1000); console.log('ready');`,
  'ends.mjs': `console.log('done', process.argv.slice(2).join(' ')); process.exit(Number(process.argv[3] ?? 0));`,
  'grpc.mjs': `import { createServer } from 'node:http2';
    // Whoever asked may be gone before the trailers are sent.
    process.on('uncaughtException', () => {});
    const status = Number(process.argv[2]);
    createServer((request, response) => {
      request.resume();
      response.stream.on('error', () => {});
      response.stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      response.stream.on('wantTrailers', () => response.stream.sendTrailers({ 'grpc-status': '0' }));
      response.stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
    }).on('sessionError', () => {}).listen(8080, process.env.HOST, () => console.log('ready'));`,
};

const openNode = async () => {
  const node = await openNodeWith(programs);
  await node.open();
  node.putNode();
  return node;
};
type Node = Awaited<ReturnType<typeof openNode>>;

const container = (name: string, command: string[], more: Partial<Container> = {}): Container => ({
  name,
  image: 'app:1',
  command,
  ...more,
});

function put(node: Node, spec: Partial<PodSpec>, metadata = {}): void {
  node.replica.change(
    'put',
    node.podOf('web', 'uid-1', { terminationGracePeriodSeconds: 5, ...spec }, metadata),
  );
}

const last = (node: Node) => node.reports('uid-1').at(-1)?.status;
const condition = (node: Node, type: string) =>
  last(node)?.conditions?.find((one) => one.type === type)?.status;
const status = (node: Node, name: string) =>
  [...(last(node)?.initContainerStatuses ?? []), ...(last(node)?.containerStatuses ?? [])].find(
    (one) => one.name === name,
  );
const deletion = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 5 };

test('init containers complete in order, once, also over an agent restart; sidecars end last', async () => {
  await using node = await openNode();
  const spec: Partial<PodSpec> = {
    restartPolicy: 'Never',
    initContainers: [
      container('first', ['ends.mjs', 'first']),
      container('side', ['serve.mjs'], {
        restartPolicy: 'Always',
        startupProbe: {
          httpGet: { path: '/', port: 8080 },
          periodSeconds: 1,
          failureThreshold: 20,
        },
      }),
      container('second', ['ends.mjs', 'second']),
    ],
    containers: [container('main', ['serve.mjs', 'x'], { ports: [] })],
  };
  // Two servers cannot have one port: the main one waits instead.
  spec.containers = [container('main', ['stubborn.mjs'])];
  put(node, spec);
  await node.until('running', () => last(node)?.phase === 'Running');
  assert.deepEqual(node.started('uid-1'), ['first', 'side', 'second', 'main']);
  assert.equal(status(node, 'first')?.state?.terminated?.exitCode, 0);
  assert.equal(condition(node, 'Initialized'), 'True');
  await node.until('ready', () => condition(node, 'Ready') === 'True');
  const count = node.entries.length;
  await node.open();
  await node.pause(300);
  assert.equal(node.entries.length, count, JSON.stringify(node.entries.slice(count)));

  put(
    node,
    { ...spec, terminationGracePeriodSeconds: 1 },
    { ...deletion, deletionGracePeriodSeconds: 1 },
  );
  await node.until('over', () => node.reports('uid-1').at(-1)?.terminated === true);
  assert.equal(status(node, 'main')?.state?.terminated?.exitCode, 137, 'killed after its grace');
  const ends = ['main', 'side'].map((name) => node.exitOf('uid-1', name)?.finishedAtMs ?? 0);
  assert.ok((ends[0] ?? 0) <= (ends[1] ?? 0), 'the sidecar outlived the work');
  assert.equal(status(node, 'side')?.state?.terminated?.exitCode, 0);
});

test('a pod whose work is done is Succeeded, its sidecar stopped; one that fails for good is Failed', async () => {
  await using node = await openNode();
  const initContainers = [container('side', ['serve.mjs'], { restartPolicy: 'Always' })];
  put(node, {
    restartPolicy: 'OnFailure',
    initContainers,
    containers: [container('main', ['ends.mjs'])],
  });
  await node.until('succeeded', () => last(node)?.phase === 'Succeeded');
  assert.equal(status(node, 'side')?.state?.terminated?.exitCode, 0);
  const failing = {
    restartPolicy: 'Never' as const,
    initContainers: [...initContainers, container('bad', ['ends.mjs', 'bad', '7'])],
    containers: [container('main', ['ends.mjs'])],
  };
  node.replica.change('put', node.podOf('bad', 'uid-2', failing));
  await node.until('failed', () => node.reports('uid-2').at(-1)?.status.phase === 'Failed');
  assert.deepEqual(node.started('uid-2'), ['side', 'bad']);
  const count = node.entries.length;
  await node.open();
  await node.pause(300);
  assert.equal(node.entries.length, count, 'nothing is begun again');
});

test('an init container that completed stays so when all traces of its run are lost', async () => {
  await using node = await openNode();
  put(node, {
    initContainers: [container('first', ['ends.mjs', 'first']), container('next', ['ends.mjs'])],
    containers: [container('main', ['serve.mjs'])],
  });
  await node.until('running', () => last(node)?.phase === 'Running');
  const before = last(node);
  await node.close();
  node.loseRun('uid-1', 'first');
  await node.open();
  await node.pause(300);
  assert.deepEqual(node.started('uid-1'), ['first', 'next', 'main']);
  assert.deepEqual(last(node), before, 'what was said of it is still true');
});

test('a task that ended for good is not done again when all traces of its run are lost', async () => {
  await using node = await openNode();
  put(node, { restartPolicy: 'OnFailure', containers: [container('main', ['ends.mjs'])] });
  await node.until('succeeded', () => last(node)?.phase === 'Succeeded');
  await node.close();
  node.loseRun('uid-1', 'main');
  await node.open();
  await node.pause(300);
  assert.equal(node.started('uid-1').length, 1);
  assert.equal(last(node)?.phase, 'Succeeded');
});

test('a pod that was active for too long is ended and Failed, and says why', async () => {
  await using node = await openNode();
  put(node, { activeDeadlineSeconds: 1, containers: [container('main', ['serve.mjs'])] });
  await node.until('failed', () => last(node)?.phase === 'Failed');
  assert.equal(last(node)?.reason, 'DeadlineExceeded');
  assert.equal(status(node, 'main')?.state?.terminated?.reason, 'Completed', 'asked, not killed');
  await node.open();
  await node.pause(200);
  assert.equal(node.started('uid-1').length, 1);
});

test('readiness follows its probe, liveness restarts, and an agent restart changes neither', async () => {
  await using node = await openNode();
  const fast = { periodSeconds: 1, failureThreshold: 1 };
  put(node, {
    containers: [
      container('main', ['serve.mjs', 'unready'], {
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: { ...fast, httpGet: { path: '/ready', port: 'http' } },
        livenessProbe: { ...fast, failureThreshold: 2, httpGet: { path: '/live', port: 8080 } },
      }),
    ],
  });
  await node.until('running', () => last(node)?.phase === 'Running');
  await node.until('seen unready', () => node.events('uid-1').includes('Unhealthy'));
  assert.equal(condition(node, 'Ready'), 'False');
  await node.ask('/toggle');
  await node.until('ready', () => condition(node, 'Ready') === 'True');
  const count = node.reports('uid-1').length;
  await node.open();
  await node.pause(1500);
  assert.equal(node.reports('uid-1').length, count, 'probes that say nothing new write nothing');
  assert.equal(status(node, 'main')?.ready, true);
  await node.ask('/die');
  await node.until('restarted', () => (status(node, 'main')?.restartCount ?? 0) === 1);
  assert.ok(node.events('uid-1').includes('Killing'));
  assert.equal(status(node, 'main')?.lastState?.terminated?.exitCode, 0);
  assert.equal(condition(node, 'Ready'), 'False', 'the new run has yet to show it');
});

test('a probe that hangs is cut at its time, and counts as failed', async () => {
  await using node = await openNode();
  put(node, {
    containers: [
      container('main', ['serve.mjs'], {
        livenessProbe: {
          httpGet: { path: '/hang', port: 8080 },
          periodSeconds: 1,
          timeoutSeconds: 1,
          failureThreshold: 2,
          terminationGracePeriodSeconds: 1,
        },
      }),
    ],
  });
  await node.until('restarted', () => (status(node, 'main')?.restartCount ?? 0) === 1);
  assert.ok(node.messages('uid-1').some((text) => /Liveness probe failed: .*1000 ms/.test(text)));
});

test('TCP, gRPC and exec probes tell a workload that answers from one that does not', async () => {
  await using node = await openNode();
  const fast = { periodSeconds: 1, timeoutSeconds: 5 };
  const pods: [string, string[], Probe][] = [
    ['tcp', ['serve.mjs'], { ...fast, tcpSocket: { port: 8081 } }],
    ['no-tcp', ['serve.mjs'], { ...fast, tcpSocket: { port: 8082 } }],
    ['grpc', ['grpc.mjs', '1'], { ...fast, grpc: { port: 8080 } }],
    ['no-grpc', ['grpc.mjs', '2'], { ...fast, grpc: { port: 8080, service: 'x' } }],
    ['exec', ['serve.mjs'], { ...fast, exec: { command: ['ends.mjs', 'x', '0'] } }],
    ['no-exec', ['serve.mjs'], { ...fast, exec: { command: ['ends.mjs', 'x', '4'] } }],
    ['no-shell', ['serve.mjs'], { ...fast, exec: { command: ['sh', '-c', 'true'] } }],
  ];
  for (const [name, command, readinessProbe] of pods) {
    const spec = { containers: [container('main', command, { readinessProbe })] };
    node.replica.change('put', node.podOf(name, name, spec));
  }
  const isReady = (uid: string) =>
    node.reports(uid).at(-1)?.status.containerStatuses?.[0]?.ready === true;
  await node.until('all that are ready', () => ['tcp', 'grpc', 'exec'].every(isReady));
  const unready = ['no-tcp', 'no-grpc', 'no-exec', 'no-shell'];
  await node.until('all that are not', () =>
    unready.every((uid) => node.events(uid).includes('Unhealthy')),
  );
  assert.deepEqual(unready.filter(isReady), []);
  const reasons: [string, RegExp][] = [
    ['no-tcp', /ECONNREFUSED/],
    ['no-grpc', /NOT_SERVING/],
    ['no-exec', /exit code 4: done x 4/],
    ['no-shell', /"sh" is not there/],
  ];
  for (const [uid, reason] of reasons) {
    await node.until(`the reason of ${uid}`, () =>
      node.messages(uid).some((text) => text.includes('Readiness probe') && reason.test(text)),
    );
  }
});

test('hooks run once: after the start, and before the end inside the grace', async () => {
  await using node = await openNode();
  const spec = {
    containers: [
      container('main', ['serve.mjs'], {
        // Before it serves nobody can ask it anything.
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        lifecycle: {
          postStart: { exec: { command: ['node', '-e', 'console.log(1)'] } },
          preStop: { httpGet: { path: '/bye', port: 8080 } },
        },
      }),
    ],
  };
  put(node, spec);
  await node.until('it serves', () => status(node, 'main')?.ready === true);
  await node.open();
  put(node, spec, deletion);
  await node.until('over', () => node.reports('uid-1').at(-1)?.terminated === true);
  const lines = node.log('uid-1', 'main').split('\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('asked')),
    ['asked /bye', 'asked to end'],
  );
});

test('a hook that fails after the start ends the run; one that hangs before the end is cut by the grace', async () => {
  await using node = await openNode();
  put(node, {
    restartPolicy: 'Never',
    containers: [
      container('main', ['serve.mjs'], { lifecycle: { postStart: { exec: { command: ['ls'] } } } }),
    ],
  });
  await node.until('ended', () => status(node, 'main')?.state?.terminated !== undefined);
  assert.ok(node.events('uid-1').includes('FailedPostStartHook'));
  const hanging = {
    containers: [
      container('main', ['serve.mjs'], { lifecycle: { preStop: { sleep: { seconds: 60 } } } }),
    ],
  };
  node.replica.change('put', node.podOf('slow', 'uid-2', hanging));
  await node.until('running', () => node.reports('uid-2').at(-1)?.status.phase === 'Running');
  const begunMs = Date.now();
  const short = { ...deletion, deletionGracePeriodSeconds: 1 };
  node.replica.change('put', node.podOf('slow', 'uid-2', hanging, short));
  await node.until('over', () => node.reports('uid-2').at(-1)?.terminated === true);
  assert.ok(Date.now() - begunMs < 5_000);
});

test('when the node ends its pods hear their hooks, sidecars end last, and no grace is cut short', async () => {
  await using node = await openNode();
  const stubborn = container('main', ['stubborn.mjs']);
  put(node, {
    terminationGracePeriodSeconds: 2,
    initContainers: [
      container('side', ['serve.mjs'], {
        restartPolicy: 'Always',
        startupProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 20 },
        lifecycle: { preStop: { httpGet: { path: '/bye', port: 8080 } } },
      }),
    ],
    containers: [stubborn],
  });
  await node.until('ready', () => condition(node, 'Ready') === 'True');
  await node.until('it listens', () => node.log('uid-1', 'main').includes('ready'));
  const begunMs = Date.now();
  await node.stop();
  const tookMs = Date.now() - begunMs;
  assert.ok(tookMs >= 1_900 && tookMs < 9_000, `${tookMs} ms`);
  assert.match(node.log('uid-1', 'main'), /ready\nno\n/);
  assert.deepEqual(node.log('uid-1', 'side').split('\n').slice(-3), [
    'asked /bye',
    'asked to end',
    '',
  ]);
  const [main, side] = ['main', 'side'].map((name) => node.exitOf('uid-1', name));
  assert.deepEqual([main?.exitCode, side?.exitCode], [137, 0]);
  assert.ok((main?.finishedAtMs ?? Infinity) <= (side?.finishedAtMs ?? 0));
});

test('a pod whose image is changed goes on with the new one, whatever its policy, and without a back-off', async () => {
  await using node = await openNode();
  const verdict = { imagesUnknown: { 'nope:1': 'there is no nope:1' } };
  const withImages = (side: string, main: string, init: string): void => {
    const spec: Partial<PodSpec> = {
      restartPolicy: 'Never',
      initContainers: [
        container('first', ['ends.mjs'], { image: init }),
        container('side', ['serve.mjs'], { image: side, restartPolicy: 'Always' }),
      ],
      containers: [container('main', ['stubborn.mjs'], { image: main })],
      terminationGracePeriodSeconds: 1,
    };
    node.replica.change('put', node.podOf('web', 'uid-1', spec, {}, verdict));
  };
  const isRunning = (name: string, image: string, restartCount: number) => (): boolean => {
    const seen = status(node, name);
    return (
      seen?.state?.running !== undefined &&
      seen.image === image &&
      seen.restartCount === restartCount
    );
  };
  withImages('app:1', 'app:1', 'app:1');
  await node.until('running', isRunning('main', 'app:1', 0));
  await node.until('it hears', () => node.log('uid-1', 'main').includes('ready'));
  const before = status(node, 'main');

  withImages('app:1', 'nope:1', 'nope:1');
  const waiting = () => status(node, 'main')?.state?.waiting;
  await node.until('no such image', () => waiting()?.message === 'there is no nope:1');
  assert.equal(waiting()?.reason, 'ErrImagePull');
  await node.open();
  await node.until('nor later', () => waiting()?.reason === 'ImagePullBackOff');
  assert.equal(last(node)?.phase, 'Running');
  assert.equal(status(node, 'main')?.image, 'app:1', 'what it was');
  const ended = status(node, 'main')?.lastState?.terminated;
  assert.equal(ended?.containerID, before?.containerID);
  assert.equal(ended?.exitCode, 137, 'killed after its grace');
  const why = 'Container main definition changed, will be restarted';
  assert.equal(node.messages('uid-1').filter((message) => message === why).length, 1);
  assert.ok(!node.events('uid-1').includes('Exited'), 'it did not end by itself');

  withImages('other:1', 'other:1', 'other:1');
  await node.until('the new one', isRunning('main', 'other:1', 1));
  await node.until('its sidecar', isRunning('side', 'other:1', 1));
  assert.ok(!node.events('uid-1').includes('BackOff'));
  assert.deepEqual(node.started('uid-1').toSorted(), ['first', 'main', 'main', 'side', 'side']);
  assert.equal(status(node, 'main')?.lastState?.terminated?.containerID, before?.containerID);
  const count = node.entries.length;
  await node.open();
  await node.pause(300);
  assert.equal(node.entries.length, count, 'a run that was found again goes on');
});

test('an image whose name is a word of JavaScript is not there, and that is said', async () => {
  await using node = await openNode();
  const spec = { containers: [container('main', [], { image: 'constructor' })] };
  const scheduled = { type: 'PodScheduled', status: 'False', message: 'no image constructor' };
  const verdict = { conditions: [scheduled] };
  node.replica.change('put', node.podOf('web', 'uid-1', spec, {}, verdict));
  const waiting = () => status(node, 'main')?.state?.waiting;
  await node.until('said', () => waiting()?.message === 'no image constructor');
});
