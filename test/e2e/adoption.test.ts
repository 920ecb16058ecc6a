// Agents that die at the worst moment, and pods whose time is over with no agent
// to see it: real processes, one small fleet for the whole file.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, startFleet, type TestFleet } from './helpers/fleet.ts';

const node = 'harbour-1';
const image = 'adoption-image:1';
const stopAfterMs = 3_000;
const graceMs = 1_000;

interface Pod {
  metadata: { uid: string };
  status: {
    phase?: string;
    containerStatuses?: {
      restartCount: number;
      lastState?: { terminated?: { exitCode: number; reason: string } };
    }[];
  };
}

let fleet: TestFleet;
const imageFolder = mkdtempSync(join(tmpdir(), 'selvage-adoption-'));

before(async () => {
  fleet = await startFleet(['--nodes', '1', '--heartbeat', '500ms']);
  mkdirSync(join(imageFolder, 'src'));
  writeFileSync(join(imageFolder, 'src/service.mjs'), 'setInterval(() => {}, 1000);');
  const description = { name: image, entrypoint: ['service.mjs'], root: 'src' };
  writeFileSync(
    join(imageFolder, 'image.json'),
    JSON.stringify({ ...description, include: ['src/service.mjs'], labels: {} }),
  );
  await fleet.pushImage(imageFolder);
});

after(async () => {
  await fleet.remove();
  rmSync(imageFolder, { recursive: true, force: true });
});

async function apply(name: string, annotations: Record<string, string> = {}): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: graceMs / 1000,
      // What is cut off for a while is not to be moved from this fleet's only node.
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: 'main', image }],
    },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(pod));
}

const pod = (name: string): Promise<Pod> => fleet.kubectl.json<Pod>(['get', 'pod', name]);

/** At once, as the kernel would; the shims that it started live on. */
function killAgent(): void {
  const file = readFileSync(join(fleet.stateFolder, `run/agent-${node}.json`), 'utf8');
  process.kill((JSON.parse(file) as { pid: number }).pid, 'SIGKILL');
}

async function startAgent(): Promise<void> {
  const { status, stderr } = await fleet.selvage(['lab', 'start', `agent/${node}`]);
  assert.equal(status, 0, stderr);
}

/** Shims of this fleet's containers whose command line names that folder. */
function shimsOf(folder: string): number {
  return readdirSync('/proc').filter((entry) => {
    if (!/^[0-9]+$/.test(entry)) return false;
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      return words[0]?.endsWith('unshare') === true && words.includes(folder);
    } catch {
      // It ended between two looks.
      return false;
    }
  }).length;
}

function containerFolders(): string[] {
  const pods = join(fleet.stateFolder, 'nodes', node, 'pods');
  return readdirSync(pods).map((uid) => join(pods, uid, 'main'));
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // The container has not come so far.
    return [];
  }
}

test('an agent that dies while it starts a container never has it started twice', async () => {
  const moments = [/^ticket-/, /^run-/];
  for (const [round, moment] of moments.entries()) {
    const known = new Set(containerFolders());
    const name = `race-${round}`;
    await apply(name);
    const deadline = Date.now() + 10_000;
    for (;;) {
      const fresh = containerFolders().filter((folder) => !known.has(folder));
      if (fresh.some((folder) => filesIn(folder).some((file) => moment.test(file)))) break;
      assert.ok(Date.now() < deadline, `no start was seen: ${moment}`);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    killAgent();
    await startAgent();
    await fleet.kubectl.ok(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=20s']);
    await wait(300);
    const { metadata, status } = await pod(name);
    const folder = join(fleet.stateFolder, 'nodes', node, 'pods', metadata.uid, 'main');
    assert.equal(shimsOf(folder), 1, `killed at ${moment}`);
    assert.equal(status.containerStatuses?.[0]?.restartCount, 0, `killed at ${moment}`);
  }
  for (const folder of containerFolders()) assert.equal(shimsOf(folder), 1, folder);
});

test('a pod that is to stop in a cut stops in time with no agent there, and starts with it', async () => {
  await apply('stops', { 'selvage.dev/on-cut': `stop-after=${stopAfterMs / 1000}s` });
  await fleet.kubectl.ok(['wait', '--for=condition=Ready', 'pod/stops', '--timeout=20s']);
  const { metadata } = await pod('stops');
  const folder = join(fleet.stateFolder, 'nodes', node, 'pods', metadata.uid, 'main');
  await wait(stopAfterMs + graceMs + 1_000);
  assert.equal(shimsOf(folder), 1, 'while the hub answers it goes on');
  killAgent();
  const killedAt = Date.now();
  await eventually('it is over', stopAfterMs + graceMs + 2_000, () =>
    Promise.resolve(shimsOf(folder) === 0 ? true : undefined),
  );
  assert.ok(Date.now() - killedAt > 500, 'not with the agent, but at its time');
  assert.equal(shimsOf(containerFolders().find((other) => other !== folder) ?? ''), 1);
  await startAgent();
  await eventually('it runs again and says how it ended', 20_000, async () => {
    const [container] = (await pod('stops')).status.containerStatuses ?? [];
    assert.equal(container?.lastState?.terminated?.reason, 'DeadlineExceeded');
    assert.equal(container.lastState.terminated.exitCode, 137);
    assert.equal(container.restartCount, 1);
    return shimsOf(folder) === 1 ? true : undefined;
  });
});
