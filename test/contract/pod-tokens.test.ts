// The two sides of a pod's token, joined by a link: what the agent keeps, and what the hub gives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf, type Uid } from '#base/mod.ts';
import { encodeFacet } from '#platform/api/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { openStore } from '#platform/store/mod.ts';
import { createConnectionPair, type LinkSession, openLink } from '#platform/wire/mod.ts';
import { openPodTokens } from '#roles/agent/pods/pod-tokens.ts';
import type { PodFacts } from '#roles/agent/pods/pod-fields.ts';
import { PodTokens } from '#roles/hub/pod-tokens.ts';
import type { PodTokenOrder } from '#roles/hub/types.ts';

const hourMs = 3_600_000;
const source = { path: 'token', expirationSeconds: 3_600 };

function factsOf(name: string): PodFacts {
  const volumes = [{ name: 'v', projected: { sources: [{ serviceAccountToken: source }] } }];
  return {
    uid: `${name}-uid`,
    namespace: 'shop',
    name,
    metadata: {},
    spec: { containers: [{ name: 'c', image: 'i' }], volumes },
    ip: '127.1.0.1',
    nodeName: 'node-1',
    hostAddress: '192.0.2.1',
    allocatable: undefined,
  };
}

async function open() {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 5, drainMicrotasks });
  const { clock, timers, random, disk, logger } = world.host('hub').ports;
  const run = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, 60_000);
  const store = await run(openStore({ disk, random, clock, timers, logger }));
  const put = (resource: string, name: string, facets: object): Promise<unknown> =>
    store.transact(() => ({
      changes: Object.entries(facets).map(([facet, value]) => ({
        type: 'put' as const,
        key: { resource, namespace: 'shop', name },
        uid: `${name}-uid` as Uid,
        facet: facet as 'intent',
        bytes: encodeFacet(value as never),
      })),
      result: undefined,
    }));
  const intent = { spec: { serviceAccountName: 'robot' } };
  await run(put('serviceaccounts', 'robot', { intent: {} }));
  await run(put('pods', 'mine', { intent, assignment: { nodeName: 'node-1' } }));
  await run(put('pods', 'other', { intent, assignment: { nodeName: 'node-2' } }));
  await run(put('pods', 'lone', { intent: { spec: {} }, assignment: { nodeName: 'node-1' } }));
  const orders: PodTokenOrder[] = [];
  const hub = new PodTokens(store, silentLogger, {
    async issue(order) {
      orders.push(order);
      const expiresAtMs = clock.wallMs() + order.lifeSeconds * 1000;
      return { token: `token-${orders.length}`, expiresAtMs, apiPort: 7443 };
    },
  });
  const link = async (): Promise<LinkSession> => {
    const [parent, child] = createConnectionPair();
    const parts = { clock, timers, logger: silentLogger };
    const [, agent] = await Promise.all([
      openLink(
        { ...parts, connection: parent },
        {
          role: 'parent',
          product: 'hub',
          onStream: (_method, parameters, stream) => hub.serve('node-1', parameters, stream),
        },
      ),
      openLink({ ...parts, connection: child }, { role: 'child', product: 'a', onStream() {} }),
    ]);
    return agent;
  };
  const renewed: string[] = [];
  let session: LinkSession | undefined = await run(link());
  const ports = world.host('node-1').ports;
  const openTokens = () =>
    openPodTokens({
      ...{ disk: ports.disk, clock, timers, logger: silentLogger },
      session: () => session,
      hubHost: 'hub.example',
      onRenewed: (podUid) => renewed.push(podUid),
    });
  return {
    run,
    pass: (durationMs: number) => world.run(clock.monotonicMs() + durationMs),
    orders,
    renewed,
    openTokens,
    tokens: await run(openTokens()),
    cut: () => {
      session?.close({ code: 'TEST', message: 'cut' });
      session = undefined;
    },
    mend: async () => {
      session = await run(link());
    },
  };
}

test('a node gets tokens for its own pods, of the account that they name, and for no others', async () => {
  const { run, tokens, orders } = await open();
  assert.equal(tokens.apiAddress(), undefined);
  for (const name of ['mine', 'other', 'absent', 'lone']) await run(tokens.ensure(factsOf(name)));
  const whyNone = (name: string): string => tokens.whyNone(`${name}-uid`, source);
  assert.deepEqual(
    [
      textOf(tokens.tokenOf('mine-uid', source) ?? new Uint8Array(0)),
      whyNone('other'),
      whyNone('absent'),
    ],
    ['token-1', 'that pod is not assigned to this node', 'that pod is not assigned to this node'],
  );
  assert.match(whyNone('lone'), /there is no ServiceAccount default in shop/);
  assert.deepEqual(orders, [
    {
      namespace: 'shop',
      accountName: 'robot',
      accountUid: 'robot-uid',
      podName: 'mine',
      podUid: 'mine-uid',
      nodeName: 'node-1',
      audience: '',
      lifeSeconds: 3_600,
    },
  ]);
  tokens.close();
});

test('a token is renewed before its end; cut off, the pod keeps it, and gets another when the link is back', async () => {
  const { run, pass, tokens, openTokens, orders, renewed, cut, mend } = await open();
  await run(tokens.ensure(factsOf('mine')));
  const now = (): string => textOf(tokens.tokenOf('mine-uid', source) ?? new Uint8Array(0));
  await pass(0.7 * hourMs);
  assert.deepEqual([now(), renewed], ['token-1', []]);
  await pass(0.2 * hourMs);
  assert.deepEqual([now(), renewed], ['token-2', ['mine-uid']]);
  cut();
  await pass(3 * hourMs);
  assert.equal(now(), 'token-2', 'what there is stays');
  await mend();
  await pass(60_000);
  assert.equal(now(), 'token-3');
  assert.equal(orders.length, 3);
  // Where the API is outlives the agent; the tokens are in the volumes.
  const again = await run(openTokens());
  assert.deepEqual(again.apiAddress(), { host: 'hub.example', port: 7443 });
  assert.equal(again.tokenOf('mine-uid', source), undefined);
  tokens.forget('mine-uid');
  await pass(3 * hourMs);
  assert.equal(orders.length, 3, 'a pod that is gone needs none');
  again.close();
  tokens.close();
});
