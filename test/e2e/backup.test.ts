// A server that is restored from a backup which its nodes have overtaken: their pods go
// on untouched until an operator says whose history counts.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { type CommandResult, run } from './helpers/kubectl.ts';
import { rawApiFor } from './helpers/raw-api.ts';

const image = 'backup-image:1';
const untouchedMs = 6_000;
const folder = mkdtempSync(join(tmpdir(), 'selvage-backup-'));
const file = join(folder, 'server.backup');
let fleet: TestFleet;
let podNetwork: string;

before(async () => {
  fleet = await startFleet(['--heartbeat', '500ms']);
  const described = readFileSync(join(fleet.stateFolder, 'fleet.json'), 'utf8');
  ({ podNetwork } = JSON.parse(described) as { podNetwork: string });
  mkdirSync(join(folder, 'src'));
  writeFileSync(
    join(folder, 'src/service.mjs'),
    "setInterval(() => {}, 60_000); process.on('SIGTERM', () => process.exit(0));",
  );
  writeFileSync(
    join(folder, 'image.json'),
    JSON.stringify({
      name: image,
      entrypoint: ['service.mjs'],
      root: 'src',
      include: ['src/service.mjs'],
      labels: {},
    }),
  );
  await fleet.pushImage(folder);
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

function selvage(words: readonly string[]): Promise<CommandResult> {
  return run(join(projectFolder, 'selvage'), words, { cwd: projectFolder });
}

async function ok(words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await selvage(words);
  assert.equal(status, 0, `selvage ${words.join(' ')}: ${stderr}`);
  return stdout;
}

const lab = (action: string): Promise<string> =>
  ok(['lab', action, 'server', '--state', fleet.stateFolder]);

function deployment(count: number): string {
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: count,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'main', image }] },
      },
    },
  });
}

/** `pid pod` of each process of this fleet's pods, by the kernel's own account. */
function workloads(): string[] {
  const found: string[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(entry)) continue;
    try {
      const lines = readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0');
      const isOurs = lines.some((line) => line.startsWith(`POD_IP=${podNetwork}.`));
      const state = readFileSync(`/proc/${entry}/stat`, 'utf8').replace(/^.*\) /s, '')[0];
      const name = lines.find((line) => line.startsWith('POD_NAME=web-'));
      if (isOurs && state !== 'Z' && name !== undefined) found.push(`${entry} ${name.slice(9)}`);
    } catch {
      // It has ended between the list and the look.
    }
  }
  return found.toSorted();
}

/** So many pods, all running, and exactly their processes. */
function atRest(count: number): Promise<string[]> {
  return eventually(`${count} pods run`, 30_000, async () => {
    const names = await fleet.kubectl.ok([
      ...['get', 'pods', '-l', 'app=web', '--field-selector', 'status.phase=Running'],
      ...['-o', 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}'],
    ]);
    const wanted = names
      .trim()
      .split('\n')
      .filter((name) => name !== '')
      .toSorted();
    const running = workloads();
    const there = running.map((line) => line.split(' ')[1] ?? '').toSorted();
    if (wanted.length !== count || wanted.join() !== there.join()) {
      throw new Error(`want ${count}; told ${wanted.join()}; running ${there.join()}`);
    }
    return running;
  });
}

test('a server restored from an older backup disturbs nothing until an operator has chosen', async () => {
  const server = join(fleet.stateFolder, 'server');
  const kubeconfig = ['--kubeconfig', fleet.kubeconfig];
  await fleet.kubectl.ok(['apply', '-f', '-'], deployment(2));
  const first = await atRest(2);
  await ok(['backup', '--file', file, ...kubeconfig]);
  assert.equal(statSync(file).mode & 0o777, 0o600);

  await fleet.kubectl.ok(['scale', 'deployment/web', '--replicas=5']);
  const overtaken = await atRest(5);
  for (const line of first) assert.ok(overtaken.includes(line), line);
  const refused = await selvage(['restore', '--state', server, '--input', file, '--force']);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /is in use by the server/);

  await lab('stop');
  const notEmpty = await selvage(['restore', '--state', server, '--input', file]);
  assert.match(notEmpty.stderr, /is not empty.*--force/);
  const damaged = join(folder, 'damaged');
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(damaged, bytes);
  const unusable = await selvage(['restore', '--state', server, '--input', damaged, '--force']);
  assert.equal(unusable.status, 1);
  assert.match(unusable.stderr, /nothing was restored/);
  await ok(['restore', '--state', server, '--input', file, '--dry-run', '--force']);
  assert.match(
    await ok(['restore', '--state', server, '--input', file, '--force']),
    /revision \d+/,
  );
  await lab('start');

  const raw = rawApiFor(fleet.kubeconfig);
  const ready = await eventually('the server says that it waits', 20_000, async () => {
    const answer = await raw.send('GET', '/readyz', { certificate: 'none' });
    return answer.status === 503 ? answer.text : undefined;
  });
  assert.match(ready, /restore impose/);
  const begun = Date.now();
  while (Date.now() - begun < untouchedMs) {
    assert.deepEqual(workloads(), overtaken);
    await wait(100);
  }
  const scaled = await fleet.kubectl.attempt(['scale', 'deployment/web', '--replicas=1']);
  assert.notEqual(scaled.status, 0);
  assert.match(scaled.stderr, /takes no changes.*restore impose/s);
  assert.match(await fleet.kubectl.ok(['get', 'deployment', 'web']), /web/);
  const nodes = await fleet.kubectl.ok(['get', 'nodes', '--no-headers']);
  assert.doesNotMatch(nodes, /NotReady/);

  // A restart forgets nothing of it.
  await lab('stop');
  await lab('start');
  await eventually('the server is back and waits', 20_000, async () => {
    const answer = await raw.send('GET', '/readyz', { certificate: 'none' });
    return answer.status === 503 ? true : undefined;
  });
  assert.deepEqual(workloads(), overtaken);

  await eventually('every node is back', 20_000, async () =>
    /not connected/.test(await ok(['restore', 'impose', '--dry-run', ...kubeconfig]))
      ? undefined
      : true,
  );
  await ok(['restore', 'impose', ...kubeconfig]);
  // What only the nodes knew of is written down, for people.
  const kept = readdirSync(join(server, 'history'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => readFileSync(join(server, 'history', name), 'utf8'))
    .join('');
  for (const line of overtaken) {
    const pod = line.split(' ')[1] ?? '';
    if (!first.includes(line)) assert.ok(kept.includes(`"pods/default/${pod}"`), pod);
  }
  assert.deepEqual(await atRest(2), first);
  assert.equal((await raw.send('GET', '/readyz', { certificate: 'none' })).status, 200);
  await fleet.kubectl.ok(['scale', 'deployment/web', '--replicas=3']);
  const more = await atRest(3);
  for (const line of first) assert.ok(more.includes(line), line);
});

/** A node that joins by itself, as a second machine would. */
async function startNode(name: string): Promise<ChildProcess> {
  const joinFile = join(folder, `${name}.json`);
  const kubeconfig = ['--kubeconfig', fleet.kubeconfig];
  await ok(['join-token', '--site', 'mill', '--file', joinFile, ...kubeconfig]);
  return spawn(
    join(projectFolder, 'selvage'),
    [
      ...['agent', '--state', join(folder, name), '--name', name],
      ...['--join-file', joinFile, '--heartbeat', '500ms'],
    ],
    { cwd: projectFolder, stdio: 'ignore' },
  );
}

function barePod(name: string, namespace: string, more: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      containers: [{ name: 'main', image, envFrom: [{ configMapRef: { name: 'late' } }] }],
      ...more,
    },
  });
}

test('adopt takes over what nodes hold: pods go on, and a node that joined after the backup stays', async () => {
  const server = join(fleet.stateFolder, 'server');
  const kubeconfig = ['--kubeconfig', fleet.kubeconfig];
  const second = join(folder, 'second.backup');
  await fleet.kubectl.ok(['apply', '-f', '-'], deployment(3));
  await atRest(3);
  await ok(['backup', '--file', second, ...kubeconfig]);

  // All of this the backup does not have.
  const late = await startNode('late-1');
  try {
    await fleet.kubectl.ok(['scale', 'deployment/web', '--replicas=5']);
    const made = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'late' } };
    await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(made));
    for (const namespace of ['late', 'default']) {
      const metadata = { name: 'late', namespace };
      const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { GREETING: 'hello' } };
      await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(map));
    }
    await eventually('it has joined', 30_000, async () =>
      fleet.kubectl.ok(['wait', '--for=condition=Ready', 'node/late-1', '--timeout=10s']),
    );
    await fleet.kubectl.ok(['apply', '-f', '-'], barePod('web-late', 'late', {}));
    await fleet.kubectl.ok(
      ['apply', '-f', '-'],
      barePod('web-there', 'default', { nodeName: 'late-1' }),
    );
    const all = await eventually('all of it runs', 30_000, async () => {
      const words = ['get', 'pods', '-A', '--field-selector', 'status.phase=Running', '-o', 'name'];
      const told = (await fleet.kubectl.ok(words)).trim().split('\n');
      const running = workloads();
      return told.length === 7 && running.length === 7 ? running : undefined;
    });

    await lab('stop');
    await ok(['restore', '--state', server, '--input', second, '--force']);
    await lab('start');
    const raw = rawApiFor(fleet.kubeconfig);
    await eventually('the server says that it waits', 20_000, async () => {
      const answer = await raw.send('GET', '/readyz', { certificate: 'none' });
      return answer.status === 503 && /restore adopt/.test(answer.text) ? true : undefined;
    });
    const tried = await eventually('every node has connected', 20_000, async () => {
      const answer = await selvage(['restore', 'adopt', '--dry-run', ...kubeconfig]);
      assert.equal(answer.status, 0, answer.stderr);
      return /not connected/.test(answer.stdout) || !/late-1/.test(answer.stdout)
        ? undefined
        : answer.stdout;
    });
    assert.match(tried, /taken in: nodes\/\/late-1, from node late-1/);
    assert.match(tried, /taken in: pods\/late\/web-late/);
    assert.match(tried, /taken in: configmaps\/late\/late/);
    assert.match(tried, /nothing was changed/);
    assert.equal((await raw.send('GET', '/readyz', { certificate: 'none' })).status, 503);

    const adopted = await ok(['restore', 'adopt', ...kubeconfig]);
    assert.match(adopted, /deployments\.apps\/default\/web was raised from 3 to 5 replicas/);
    assert.match(adopted, / 0 refused/);
    assert.equal((await raw.send('GET', '/readyz', { certificate: 'none' })).status, 200);
    const begun = Date.now();
    while (Date.now() - begun < untouchedMs) {
      assert.deepEqual(workloads(), all);
      await wait(100);
    }
    await fleet.kubectl.ok(['wait', '--for=condition=Ready', 'node/late-1', '--timeout=20s']);
    assert.match(await fleet.kubectl.ok(['get', 'deployment', 'web', '--no-headers']), / 5\/5 /);
    await fleet.kubectl.ok(['get', 'configmap', 'late', '-n', 'late']);
    // And it is a fleet like any other: what is deleted ends, what is declared runs.
    await fleet.kubectl.ok(['delete', 'pod', 'web-there', '--now']);
    await fleet.kubectl.ok(['scale', 'deployment/web', '--replicas=4']);
    await eventually('one less of each', 30_000, async () =>
      workloads().length === 5 ? true : undefined,
    );
    const nothing = await selvage(['restore', 'impose', ...kubeconfig]);
    assert.match(nothing.stderr, /nothing is to be settled/);
  } finally {
    if (late.exitCode === null) {
      const closed = new Promise((resolve) => late.once('close', resolve));
      late.kill('SIGINT');
      await closed;
    }
  }
});

test('up on a server that waits for its operator says so, and goes on when he has decided', async () => {
  const server = join(fleet.stateFolder, 'server');
  const third = join(folder, 'third.backup');
  const kubeconfig = ['--kubeconfig', fleet.kubeconfig];
  await fleet.kubectl.ok(['apply', '-f', '-'], deployment(1));
  await ok(['backup', '--file', third, ...kubeconfig]);
  await fleet.kubectl.ok(['scale', 'deployment/web', '--replicas=2']);
  await eventually('both run', 30_000, async () =>
    /2\/2/.test(await fleet.kubectl.ok(['get', 'deployment', 'web'])) ? true : undefined,
  );
  assert.equal(await fleet.interrupt(), 0);
  await ok(['restore', '--state', server, '--input', third, '--force']);
  const again = fleet.again(['--heartbeat', '500ms']);
  await eventually('it says what is the matter', 60_000, async () =>
    /restore adopt .*\n.*restore impose /.test(fleet.output()) ? true : undefined,
  );
  await ok(['restore', 'impose', ...kubeconfig]);
  await again;
  await eventually('it goes on', 20_000, async () =>
    /takes changes again/.test(fleet.output()) ? true : undefined,
  );
  assert.match(await fleet.kubectl.ok(['get', 'deployment', 'web', '--no-headers']), /\/1 /);
});
