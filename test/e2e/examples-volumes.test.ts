// The examples about configuration and volumes, as somebody tries them: applied with
// kubectl, looked at, deleted. One fleet for the whole file.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';

interface Pod {
  metadata: { name: string };
  spec: { nodeName?: string };
  status: {
    phase?: string;
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { restartCount: number }[];
  };
}

let fleet: TestFleet;
const shared = mkdtempSync(join(tmpdir(), 'selvage-example-'));

before(async () => {
  fleet = await startFleet(['--nodes', '3', '--allow-host-path', shared]);
});

after(async () => {
  await fleet.remove();
  rmSync(shared, { recursive: true, force: true });
});

function manifestOf(name: string): string {
  return readFileSync(join(projectFolder, 'examples', `${name}.yaml`), 'utf8');
}

const apply = (manifest: string): Promise<string> =>
  fleet.kubectl.ok(['apply', '-f', '-'], manifest);

async function removeAll(manifest: string): Promise<void> {
  await fleet.kubectl.ok(['delete', '-f', '-', '--wait=true'], manifest);
  await eventually('nothing is left', 30_000, async () => {
    const left = await fleet.kubectl.ok(['get', 'deployments,pods', '-o', 'name']);
    return left.trim() === '' ? true : undefined;
  });
}

async function readyPods(count: number): Promise<Pod[]> {
  return await eventually(`${count} ready pods`, 40_000, async () => {
    const { items } = await fleet.kubectl.json<{ items: Pod[] }>(['get', 'pods']);
    const isReady = ({ status }: Pod): boolean =>
      (status.conditions ?? []).some(
        ({ type, status: holds }) => type === 'Ready' && holds === 'True',
      );
    return items.length === count && items.every(isReady) ? items : undefined;
  });
}

async function get(pod: Pod | undefined, path = '/', headers: Record<string, string> = {}) {
  return await eventually('an answer', 20_000, async () => {
    const answer = await fetch(`http://${pod?.status.podIP}:8080${path}`, { headers });
    return { status: answer.status, text: (await answer.text()).trim() };
  });
}

test('a web service takes its settings and its secret, and follows the settings', async () => {
  const manifest = manifestOf('web-with-config');
  await apply(manifest);
  const [pod] = await readyPods(2);
  assert.equal((await get(pod)).text, 'Welcome to the shop.');
  assert.equal((await get(pod, '/stock')).status, 401);
  const known = await get(pod, '/stock', { authorization: 'Bearer open-sesame' });
  assert.deepEqual(JSON.parse(known.text), [{ name: 'lamp', price: 12, currency: 'EUR' }]);
  const closed = JSON.stringify({ data: { greeting: 'Closed today.' } });
  await fleet.kubectl.ok(['patch', 'configmap', 'shop', '--type', 'merge', '-p', closed]);
  await eventually('the new greeting', 15_000, async () => {
    return (await get(pod)).text === 'Closed today.' ? true : undefined;
  });
  await removeAll(manifest);
});

test('two containers share a folder, of which one may only read', async () => {
  const manifest = manifestOf('shared-volume');
  await apply(manifest);
  const [pod] = await readyPods(1);
  await eventually('a measurement', 20_000, async () => {
    const { status, text } = await get(pod);
    return status === 200 && typeof JSON.parse(text).celsius === 'number' ? true : undefined;
  });
  assert.match(await fleet.kubectl.ok(['logs', 'station', '-c', 'sensor']), /^measured \d/);
  await removeAll(manifest);
});

test('a counter goes on where it was when its program is started again', async () => {
  const manifest = manifestOf('stateful-counter');
  await apply(manifest);
  const [pod] = await readyPods(1);
  for (const expected of ['1', '2', '3']) assert.equal((await get(pod)).text, expected);
  await fetch(`http://${pod?.status.podIP}:8080/crash`).catch(() => undefined);
  await eventually('it is started again', 20_000, async () => {
    const { status } = await fleet.kubectl.json<Pod>(['get', 'pod', 'counter']);
    return status.containerStatuses?.[0]?.restartCount === 1 ? true : undefined;
  });
  assert.equal((await get(pod)).text, '4');
  await removeAll(manifest);
});

test('a site is served after it was prepared', async () => {
  const manifest = manifestOf('prepared-site');
  await apply(manifest);
  const [pod] = await readyPods(1);
  const { text } = await get(pod);
  assert.match(text, new RegExp(`Made on ${pod?.spec.nodeName}`));
  assert.match(text, /app="site"\ntier="front"/);
  await removeAll(manifest);
});

test('a sidecar begins before the service, counts as a container, and ends after it', async () => {
  const manifest = manifestOf('sidecar-and-probes');
  await apply(manifest);
  const [pod] = await readyPods(1);
  assert.match(await fleet.kubectl.ok(['get', 'pod', 'kiosk', '--no-headers']), /2\/2\s+Running/);
  for (let count = 0; count < 3; count += 1) {
    assert.equal((await get(pod, '/buy')).text, 'thank you');
  }
  const followed = fleet.kubectl.follow(['logs', '-f', 'kiosk', '-c', 'ledger']);
  await eventually('the sidecar has seen it', 15_000, async () =>
    followed.lines.includes('3 sold') ? true : undefined,
  );
  await removeAll(manifest);
  await eventually('its last word', 20_000, async () =>
    followed.lines.at(-1) === 'the books are closed' ? true : undefined,
  );
  await followed.close();
});

test('pods go to the nodes that they ask for', async () => {
  const manifest = manifestOf('chosen-nodes');
  await apply(manifest);
  const pods = await readyPods(2);
  assert.deepEqual(
    pods.map(({ spec }) => spec.nodeName),
    ['mill-1', 'mill-1'],
  );
  await removeAll(manifest);
});

test('files of the node are given out where that was said, and stay when the pod goes', async () => {
  const manifest = manifestOf('node-files');
  await apply(manifest);
  await eventually('it says why it waits', 20_000, async () => {
    const about = await fleet.kubectl.ok(['describe', 'pod', 'notebook']);
    return /hostPath .* is not allowed on this node/.test(about) ? true : undefined;
  });
  await removeAll(manifest);
  const allowed = manifest.replaceAll('/srv/selvage-example', shared);
  await apply(allowed);
  await eventually('it has run', 20_000, async () => {
    const { status } = await fleet.kubectl.json<Pod>(['get', 'pod', 'notebook']);
    return status.phase === 'Succeeded' ? true : undefined;
  });
  await removeAll(allowed);
  assert.match(readFileSync(join(shared, 'notes/last-writer'), 'utf8'), /^notebook on /);
});
