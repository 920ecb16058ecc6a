import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:http2';
import { test } from 'node:test';
import fc from 'fast-check';
import { SelvageError } from '#base/mod.ts';
import { createNodeClock, createNodeProbeNet, createNodeTimers } from '#platform/io/node/mod.ts';
import { performAction, type Action, type ActionDependencies } from './actions.ts';
import { startProber } from './prober.ts';
import { firstStateOf, probeSettingsOf, probeVerdict, type ProbeKind } from './verdict.ts';

const ports = { clock: createNodeClock(), timers: createNodeTimers() };
const pause = (delayMs: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });

test('a verdict changes after as many results in a row as it asks for, and never otherwise', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<ProbeKind>('Startup', 'Liveness', 'Readiness'),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.boolean(), { maxLength: 30 }),
      (kind, successThreshold, failureThreshold, results) => {
        const settings = { ...probeSettingsOf({}), successThreshold, failureThreshold };
        let state = firstStateOf(kind);
        for (const [position, isSuccess] of results.entries()) {
          const before = state.holds;
          state = probeVerdict(state, isSuccess, settings);
          const needed = isSuccess ? successThreshold : failureThreshold;
          const row = results.slice(Math.max(0, position + 1 - needed), position + 1);
          const isDue = row.length === needed && row.every((result) => result === isSuccess);
          assert.equal(state.holds, isDue ? isSuccess : before);
        }
      },
    ),
  );
});

test('what a probe leaves open is as the API says', () => {
  assert.deepEqual(probeSettingsOf({}), {
    initialDelayMs: 0,
    periodMs: 10_000,
    timeoutMs: 1_000,
    successThreshold: 1,
    failureThreshold: 3,
  });
});

test('questions never overlap, however long one takes, and none is asked after the end', async () => {
  let open = 0;
  let openMost = 0;
  let asked = 0;
  const results: boolean[] = [];
  const settings = { ...probeSettingsOf({}), periodMs: 10, timeoutMs: 40 };
  const prober = startProber(ports, settings, {
    first: firstStateOf('Liveness'),
    delayMs: 0,
    async ask(timeoutMs) {
      asked += 1;
      open += 1;
      openMost = Math.max(openMost, open);
      await pause(timeoutMs);
      open -= 1;
      if (asked === 2) throw new Error('even this is a result');
      return { isSuccess: asked % 2 === 1, message: '' };
    },
    onResult: (_, { isSuccess }) => void results.push(isSuccess),
  });
  await pause(250);
  prober.close();
  const told = results.length;
  assert.ok(told >= 3 && asked - told <= 1, `${asked} asked, ${told} told`);
  assert.equal(openMost, 1);
  assert.deepEqual(results.slice(0, 3), [true, false, true]);
  await pause(100);
  assert.equal(results.length, told);
});

test('an action leads to the pod alone, and says what is wrong with what it cannot do', async () => {
  const asked: string[] = [];
  const dependencies: ActionDependencies = {
    timers: ports.timers,
    probeNet: {
      httpStatus: ({ address, target, scheme, headers }) => {
        asked.push(`${scheme}://${address.host}:${address.port}${target} ${headers['x']}`);
        return Promise.resolve(Number(target.slice(1)) || 200);
      },
      grpcHealth: () => Promise.resolve('NOT_SERVING'),
    },
    exec: () => Promise.reject(new SelvageError('EXEC_NOT_FOUND', '"x" is not there')),
  };
  const target = {
    key: { podUid: 'u', container: 'c' },
    ip: '127.9.9.9',
    ports: [{ name: 'web', containerPort: 8080 }],
  };
  const perform = async (action: Action): Promise<[boolean, string]> => {
    const { isSuccess, message } = await performAction(dependencies, action, target, 1_000);
    return [isSuccess, message];
  };
  const header = { httpHeaders: [{ name: 'X', value: 'y' }] };
  assert.deepEqual((await perform({ httpGet: { path: '399', port: 'web', ...header } }))[0], true);
  assert.deepEqual(await perform({ httpGet: { path: '/400', port: 1, scheme: 'HTTPS' } }), [
    false,
    'HTTP probe failed with statuscode: 400',
  ]);
  assert.deepEqual(asked, ['http://127.9.9.9:8080/399 y', 'https://127.9.9.9:1/400 undefined']);
  for (const httpGet of [
    { port: 8080, host: '127.0.0.1' },
    { port: 'absent' },
    { port: 0 },
    { port: 65_536 },
  ]) {
    assert.equal((await perform({ httpGet }))[0], false);
  }
  assert.equal(asked.length, 2, 'nobody else was asked');
  assert.deepEqual(await perform({ tcpSocket: { port: 1 } }), [
    false,
    'this node cannot open connections to its pods',
  ]);
  assert.deepEqual(await perform({ grpc: { port: 1 } }), [false, 'service is NOT_SERVING']);
  assert.deepEqual(await perform({ exec: { command: ['x'] } }), [false, '"x" is not there']);
  const begunMs = performance.now();
  const slept = performAction(dependencies, { sleep: { seconds: 60 } }, target, 50);
  assert.equal((await slept).isSuccess, true);
  assert.ok(performance.now() - begunMs < 1_000, 'cut off at its time');
});

test('the real questions: what answers, what hangs, what is no HTTP and what is not there', async () => {
  const net = createNodeProbeNet();
  const hanging = createServer((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/' }).end();
    else if (request.url === '/endless') response.write('x');
  });
  const rude = createSecureServer();
  const [address, rudeAddress] = await Promise.all(
    [hanging, rude].map(
      (server) =>
        new Promise<{ host: string; port: number }>((resolve) => {
          server.listen(0, '127.0.0.1', () => {
            const bound = server.address();
            const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
            resolve({ host: '127.0.0.1', port });
          });
        }),
    ),
  );
  assert.ok(address !== undefined && rudeAddress !== undefined);
  const ask = (target: string, to = address) =>
    net.httpStatus({ address: to, scheme: 'http', target, headers: {}, timeoutMs: 200 });
  assert.equal(await ask('/moved'), 302);
  assert.equal(await ask('/endless'), 200, 'the head is the answer');
  await assert.rejects(ask('/hangs'), { code: 'NET_TIMEOUT' });
  await assert.rejects(ask('/', { host: '127.0.0.1', port: 1 }), { code: 'NET_REFUSED' });
  const grpc = (to: { host: string; port: number }) =>
    net.grpcHealth({ address: to, service: 's'.repeat(200), timeoutMs: 200 });
  // One that takes the stream and says nothing, and one that speaks another protocol.
  await assert.rejects(grpc(rudeAddress), { code: 'NET_TIMEOUT' });
  await assert.rejects(grpc(address), (error: Error) => error.name === 'NetError');
  await assert.rejects(
    grpc({ host: '127.0.0.1', port: 1 }),
    (error: Error) => error.name === 'NetError',
  );
  hanging.closeAllConnections();
  hanging.close();
  rude.close();
});
