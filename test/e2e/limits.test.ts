// Limits of containers are held by the kernel: memory that is too much ends a container
// and is said truthfully, a busy loop gets its share and no more.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { run } from './helpers/kubectl.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-limits-'));
let fleet: TestFleet;

const program = `
const [what] = process.argv.slice(2);
console.log(what);
if (what === 'grow') {
  const kept = [];
  setInterval(() => kept.push(Buffer.alloc(16 * 1024 * 1024, 1)), 20);
}
if (what === 'busy') for (;;);
if (what === 'wait' || what === 'fill') setInterval(() => {}, 1000);
if (what === 'fill') (await import('node:fs')).writeFileSync('/data/much', Buffer.alloc(190 * 1024 * 1024, 1));
if (what === 'talk') for (;;) {
  process.stdout.write('word '.repeat(2000) + '\\n');
  await new Promise((next) => setTimeout(next, 2));
}
`;

before(async () => {
  fleet = await startFleet(['--nodes', '1', '--heartbeat', '500ms']);
  mkdirSync(join(folder, 'image'));
  writeFileSync(join(folder, 'image/main.mjs'), program);
  const image = { name: 'limits:1', entrypoint: ['main.mjs'], include: ['main.mjs'], labels: {} };
  writeFileSync(join(folder, 'image/image.json'), JSON.stringify(image));
  await fleet.pushImage(join(folder, 'image'));
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function startPod(
  name: string,
  what: string,
  limits: Readonly<Record<string, string>>,
): Promise<void> {
  const container = { name: 'main', image: 'limits:1', args: [what], resources: { limits } };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 1, containers: [container] },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(pod));
}

interface Status {
  readonly phase: string;
  readonly containerStatuses?: readonly {
    readonly state: {
      readonly terminated?: { readonly exitCode: number; readonly reason: string };
    };
  }[];
}

async function statusOf(name: string): Promise<Status> {
  return (await fleet.kubectl.json<{ status: Status }>(['get', 'pod', name])).status;
}

/** Seconds of processor time that the workload of a pod has had. */
async function processorSeconds(name: string): Promise<number> {
  const { stdout } = await fleet.selvage(['status', '-o', 'json']);
  const { processes } = JSON.parse(stdout) as {
    processes: { pod?: { name: string }; pid: number }[];
  };
  const outer = processes.find(({ pod }) => pod?.name === name)?.pid;
  const childOf = (parent: number): number | undefined =>
    readdirSync('/proc')
      .filter((entry) => /^[0-9]+$/.test(entry))
      .map(Number)
      .find((pid) => {
        try {
          return new RegExp(`^PPid:\\t${parent}$`, 'm').test(
            readFileSync(`/proc/${pid}/status`, 'utf8'),
          );
        } catch {
          return false;
        }
      });
  const init = outer === undefined ? undefined : childOf(outer);
  const workload = init === undefined ? undefined : childOf(init);
  assert.ok(workload !== undefined, 'the workload is a process of this machine');
  const fields = readFileSync(`/proc/${workload}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function groupsLeft(): string[] {
  return ['memory', 'cpu', 'pids', '.'].flatMap((controller) => {
    const parent = `/sys/fs/cgroup/${controller}/selvage`;
    return existsSync(parent)
      ? readdirSync(parent, { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map(({ name }) => name)
      : [];
  });
}

test('a container that takes too much memory is ended, and that is what is said of it', async () => {
  await startPod('growing', 'grow', { memory: '160Mi' });
  const status = await eventually('it has ended', 30_000, async () => {
    const now = await statusOf('growing');
    return now.phase === 'Failed' ? now : undefined;
  });
  assert.deepEqual(
    status.containerStatuses?.map(({ state }) => [
      state.terminated?.reason,
      state.terminated?.exitCode,
    ]),
    [['OOMKilled', 137]],
  );
  assert.match(await fleet.kubectl.ok(['get', 'pod', 'growing']), /OOMKilled/);
  const ready = `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`;
  assert.equal(await fleet.kubectl.ok(['get', 'nodes', '-o', ready]), 'True');
});

test('a busy loop gets a fifth of a core where it is allowed a fifth', async () => {
  await startPod('busy', 'busy', { cpu: '200m' });
  await eventually('it runs', 20_000, async () =>
    (await statusOf('busy')).phase === 'Running' ? true : undefined,
  );
  const measuredMs = 4_000;
  const before = await processorSeconds('busy');
  const began = Date.now();
  await wait(measuredMs);
  const seconds = (await processorSeconds('busy')) - before;
  const share = seconds / ((Date.now() - began) / 1000);
  assert.ok(share < 0.3, `it had ${share.toFixed(2)} of a core`);
  assert.ok(share > 0.05, `it had ${share.toFixed(2)} of a core`);
});

test('nothing of the limits is left when the pods are gone, whoever ended them', async () => {
  await startPod('waiting', 'wait', { memory: '256Mi' });
  await eventually('it runs', 20_000, async () =>
    (await statusOf('waiting')).phase === 'Running' ? true : undefined,
  );
  const uid = await fleet.kubectl.ok(['get', 'pod', 'waiting', '-o', 'jsonpath={.metadata.uid}']);
  assert.ok(groupsLeft().some((name) => name.startsWith(uid)));
  // A power cut gives the shim no time to clear away.
  await fleet.selvage(['lab', 'kill', 'harbour-1']);
  await fleet.selvage(['lab', 'start', 'harbour-1']);
  await fleet.kubectl.ok(['delete', 'pod', '--all', '--wait=true', '--timeout=60s']);
  await eventually('the groups are gone', 20_000, async () =>
    groupsLeft().some((name) => name.startsWith(uid)) ? undefined : true,
  );
});

test('a node whose disk fills up says so, and the pod that has taken most of it goes', async () => {
  const state = mkdtempSync(join(tmpdir(), 'selvage-small-disk-'));
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=200m', 'small-disk', state]);
  assert.equal(mounted.status, 0, mounted.stderr);
  const joinFile = join(folder, 'join.json');
  const words = ['join-token', '--site', 'mill', '--file', joinFile];
  const token = await run(join(projectFolder, 'selvage'), [
    ...words,
    ...['--kubeconfig', fleet.kubeconfig],
  ]);
  assert.equal(token.status, 0, token.stderr);
  const agent = spawn(
    join(projectFolder, 'selvage'),
    [
      ...['agent', '--name', 'small-1', '--state', join(state, 'node')],
      ...['--join-file', joinFile, '--heartbeat', '500ms'],
    ],
    { cwd: projectFolder, stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => agent.once('close', resolve));
  try {
    await fleet.kubectl.ok(['wait', 'node/small-1', '--for=create', '--timeout=20s']);
    await fleet.kubectl.ok(['wait', 'node/small-1', '--for=condition=Ready', '--timeout=20s']);
    const place = { nodeName: 'small-1', restartPolicy: 'Never', terminationGracePeriodSeconds: 1 };
    const start = (name: string, container: object, more: object = {}) =>
      fleet.kubectl.ok(
        ['apply', '-f', '-'],
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name },
          spec: {
            ...place,
            containers: [{ name: 'main', image: 'limits:1', ...container }],
            ...more,
          },
        }),
      );
    const failed = (name: string, message: RegExp) =>
      eventually(`${name} is evicted`, 60_000, async () => {
        const { status } = await fleet.kubectl.json<{
          status: { phase?: string; reason?: string; message?: string };
        }>(['get', 'pod', name]);
        if (status.phase !== 'Failed') return undefined;
        assert.equal(status.reason, 'Evicted');
        assert.match(status.message ?? '', message);
        return true;
      });
    await start('modest', { args: ['wait'] });
    const limits = { 'ephemeral-storage': '2Mi' };
    await start('talks', { args: ['talk'], resources: { limits } });
    await failed('talks', /ephemeral local storage usage exceeds the total limit/);
    // Its log counts until it is gone.
    await fleet.kubectl.ok(['delete', 'pod', 'talks', '--now']);
    await start(
      'fills',
      { args: ['fill'], volumeMounts: [{ name: 'data', mountPath: '/data' }] },
      { volumes: [{ name: 'data', emptyDir: {} }] },
    );
    await failed('fills', /The node was low on disk: the pod used 19[0-9]Mi and had asked for 0Mi/);
    const conditions = await fleet.kubectl.ok(['describe', 'node', 'small-1']);
    assert.match(conditions, /DiskPressure +True/);
    const modest = await fleet.kubectl.ok(['get', 'pod', 'modest']);
    assert.match(modest, /Running/, 'who takes little stays');
  } finally {
    agent.kill('SIGINT');
    await ended;
    await run('umount', ['-l', state]);
    rmSync(state, { recursive: true });
  }
});
