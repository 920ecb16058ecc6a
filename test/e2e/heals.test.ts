// What really happens to a fleet, done to real processes: nodes, agents and the
// server die and come back. One fleet for the whole file; the tests follow each other.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, startFleet, type TestFleet } from './helpers/fleet.ts';
import { failFromNowOn } from './helpers/traced-server.ts';

const heartbeatMs = 500;
const elsewhereWithinMs = 10_000;
/** After the server was away: eight heartbeats between two attempts, and time to tell. */
const toldWithinMs = 20_000;
/** The agents' own: so long they ask a hub that does not answer. */
const startsFromDiskAfterMs = 5_000;
const replicas = 3;
const toleratedMs = 3_000;
const graceMs = 2_000;
/** The moments of the last test are drawn anew each time, and told where it fails. */
const killedWithinMs = 1_500;
const backWithinMs = 2_500;
const image = 'heals-image:1';

const service = `
import { createServer } from 'node:http';
const server = createServer((request, response) => {
  if (request.url === '/exit') process.exit(7);
  response.end(process.env.POD_NAME);
});
server.listen(8080, process.env.HOST);
process.on('SIGTERM', () => process.env.STUBBORN ?? process.exit(0));
`;

interface Pod {
  metadata: { name: string; uid: string; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status: {
    phase?: string;
    reason?: string;
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: {
      restartCount: number;
      state?: { terminated?: { exitCode: number }; waiting?: { reason: string } };
      lastState?: { terminated?: { exitCode: number } };
    }[];
  };
}

interface Event {
  metadata: { name: string; resourceVersion: string };
  reason: string;
  source?: { component?: string; host?: string };
  involvedObject: { name: string };
  lastTimestamp: string;
}

interface Workload {
  readonly pid: number;
  /** In the kernel's process table, in ticks since boot. */
  readonly startTicks: string;
  readonly pod: string;
  readonly node: string;
}

let fleet: TestFleet;
let podNetwork: string;
const imageFolder = mkdtempSync(join(tmpdir(), 'selvage-heals-'));

before(async () => {
  fleet = await startFleet(['--heartbeat', `${heartbeatMs}ms`]);
  const file = JSON.parse(readFileSync(join(fleet.stateFolder, 'fleet.json'), 'utf8')) as {
    podNetwork: string;
  };
  podNetwork = file.podNetwork;
  mkdirSync(join(imageFolder, 'src'));
  writeFileSync(join(imageFolder, 'src/service.mjs'), service);
  const description = { name: image, entrypoint: ['service.mjs'], root: 'src' };
  writeFileSync(
    join(imageFolder, 'image.json'),
    JSON.stringify({ ...description, include: ['src/service.mjs'], labels: {} }),
  );
  await fleet.pushImage(imageFolder);
  await fleet.kubectl.ok(['apply', '-f', '-'], deployment('web', replicas));
  await atRest();
});

after(async () => {
  await fleet.remove();
  rmSync(imageFolder, { recursive: true, force: true });
});

function deployment(name: string, count: number, annotations: Record<string, string> = {}): string {
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: count,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name }, annotations },
        spec: { containers: [{ name: 'main', image }] },
      },
    },
  });
}

function barePod(
  name: string,
  nodeName: string,
  restartPolicy: string,
  more: { readonly tolerations?: readonly object[]; readonly env?: readonly object[] } = {},
): string {
  const { tolerations = [], env = [] } = more;
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { nodeName, restartPolicy, tolerations, containers: [{ name: 'main', image, env }] },
  });
}

async function ok(words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await fleet.selvage(words);
  assert.equal(status, 0, `selvage ${words.join(' ')}: ${stderr}`);
  return stdout;
}

const lab = (action: 'kill' | 'start', name: string): Promise<string> => ok(['lab', action, name]);

/** All at once: which is first is for the machine to say. */
async function startAll(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => lab('start', name)));
}

async function pods(selector = 'app=web'): Promise<Pod[]> {
  return (await fleet.kubectl.json<{ items: Pod[] }>(['get', 'pods', '-l', selector])).items;
}

async function pod(name: string): Promise<Pod> {
  return await fleet.kubectl.json<Pod>(['get', 'pod', name]);
}

function isReady({ metadata, status }: Pod): boolean {
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return metadata.deletionTimestamp === undefined && ready?.status === 'True';
}

/** What runs of this fleet's pods, by the kernel's own account. */
function workloads(prefix = 'web-'): Workload[] {
  const found: Workload[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(entry)) continue;
    try {
      const environment = readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0');
      const valueOf = (name: string): string | undefined =>
        environment.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
      const podName = valueOf('POD_NAME');
      if (podName?.startsWith(prefix) !== true) continue;
      if (valueOf('POD_IP')?.startsWith(`${podNetwork}.`) !== true) continue;
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8').replace(/^.*\) /s, '');
      const fields = stat.split(' ');
      if (fields[0] === 'Z') continue;
      const startTicks = fields[19] ?? '';
      const node = valueOf('NODE_NAME') ?? '';
      found.push({ pid: Number(entry), startTicks, pod: podName, node });
    } catch {
      // It has ended between the list and the look.
    }
  }
  return found.sort((left, right) => left.pid - right.pid);
}

/** As declared: so many pods, all Ready, all nodes Ready, and exactly their processes. */
async function atRest(timeoutMs = 40_000): Promise<{ pods: Pod[]; processes: Workload[] }> {
  return await eventually('the fleet is as declared', timeoutMs, async () => {
    const nodes = await fleet.kubectl.ok(['get', 'nodes', '--no-headers']);
    const lines = nodes.trim().split('\n');
    if (lines.length !== 4 || !lines.every((line) => /\sReady\s/.test(line))) {
      throw new Error(nodes);
    }
    const found = await pods();
    const processes = workloads();
    if (found.length !== replicas || !found.every(isReady)) {
      throw new Error(await fleet.kubectl.ok(['get', 'pods', '-o', 'wide']));
    }
    const names = (list: readonly string[]): string => list.toSorted().join();
    const wanted = names(found.map(({ metadata }) => metadata.name));
    const running = names(processes.map(({ pod: name }) => name));
    if (wanted !== running) throw new Error(`declared ${wanted}, running ${running}`);
    return { pods: found, processes };
  });
}

async function nodeWithPods(): Promise<string> {
  const { processes } = await atRest();
  const node = processes[0]?.node;
  assert.ok(node !== undefined);
  return node;
}

function ask(address: string | undefined, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ host: address, port: 8080, path, timeout: 2_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => resolve(text));
      answer.on('error', reject);
    });
    call.on('error', reject);
    call.on('timeout', () => call.destroy(new Error('timed out')));
    call.end();
  });
}

/** Watches every 100 ms; answers for how long in all there were more than declared. */
function watchForSurplus(): { stop(): Promise<{ surplusMs: number; twice: string[] }> } {
  const over = new AbortController();
  let surplusMs = 0;
  const twice = new Set<string>();
  const watching = (async () => {
    let lastMs = performance.now();
    while (!over.signal.aborted) {
      await wait(100);
      const nowMs = performance.now();
      const running = workloads().map(({ pod: name }) => name);
      if (running.length > replicas) surplusMs += nowMs - lastMs;
      for (const [at, name] of running.entries()) if (running.indexOf(name) !== at) twice.add(name);
      lastMs = nowMs;
    }
  })();
  return {
    async stop() {
      over.abort();
      await watching;
      return { surplusMs, twice: [...twice] };
    },
  };
}

test('the pods of a killed node run elsewhere within ten seconds, and events say why', async () => {
  const node = await nodeWithPods();
  const gone = workloads().filter((process) => process.node === node);
  await lab('kill', node);
  const killedAtMs = performance.now();
  const elsewhere = await eventually('as many as declared run elsewhere', elsewhereWithinMs, () => {
    const running = workloads().filter((process) => process.node !== node);
    return Promise.resolve(running.length === replicas ? running : undefined);
  });
  await eventually('and are Ready', elsewhereWithinMs, async () => {
    const ready = (await pods()).filter((found) => isReady(found) && found.spec.nodeName !== node);
    return ready.length === replicas ? true : undefined;
  });
  assert.ok(performance.now() - killedAtMs < elsewhereWithinMs);
  const taints = await fleet.kubectl.ok(['get', 'node', node, '-o', 'jsonpath={.spec.taints}']);
  for (const effect of ['NoExecute', 'NoSchedule']) assert.ok(taints.includes(effect), taints);
  assert.ok(taints.includes('node.kubernetes.io/unreachable'), taints);
  const events = await fleet.kubectl.ok(['get', 'events', '-A']);
  assert.match(events, new RegExp(`NodeNotReady.*node/${node}.*not heard of`));
  const everything = (await fleet.kubectl.json<{ items: Pod[] }>(['get', 'pods'])).items;
  for (const { pod: name } of gone) {
    assert.match(events, new RegExp(`NodeNotReady.*pod/${name}`));
    assert.match(
      events,
      new RegExp(`TaintManagerEviction.*pod/${name}.*given up with node ${node}`),
    );
    const lost = everything.find(({ metadata }) => metadata.name === name);
    assert.equal(lost?.status.reason, 'NodeLost');
  }

  const watching = watchForSurplus();
  await lab('start', node);
  const { processes } = await atRest();
  await wait(2 * heartbeatMs);
  const { surplusMs, twice } = await watching.stop();
  assert.deepEqual(twice, [], 'no pod runs twice');
  assert.ok(surplusMs <= heartbeatMs, `more than declared ran for ${surplusMs} ms`);
  assert.deepEqual(
    processes.map(({ pid, startTicks }) => [pid, startTicks]),
    elsewhere.map(({ pid, startTicks }) => [pid, startTicks]),
    'what had replaced them runs on',
  );
  const left = await fleet.kubectl.ok(['get', 'node', node, '-o', 'jsonpath={.spec.taints}']);
  assert.equal(left, '');
});

test('pods outlive their agent, however long, and are adopted as they are', async () => {
  const node = await nodeWithPods();
  const before = workloads().filter((process) => process.node === node);
  const restarts = (found: Pod): number | undefined =>
    found.status.containerStatuses?.[0]?.restartCount;
  await fleet.kubectl.ok(['apply', '-f', '-'], barePod('once', node, 'Never'));
  await fleet.kubectl.ok(['apply', '-f', '-'], barePod('again', node, 'Always'));
  await fleet.kubectl.ok(['wait', '--for=condition=Ready', 'pod/once', 'pod/again']);
  await lab('kill', `agent/${node}`);
  for (const name of ['once', 'again']) {
    await assert.rejects(ask((await pod(name)).status.podIP, '/exit'), 'it exits with 7');
  }
  await eventually('its pods are given up and replaced', elsewhereWithinMs, () =>
    Promise.resolve(workloads().length === replicas + before.length ? true : undefined),
  );
  for (const { pod: name } of before) {
    assert.equal(await ask((await pod(name)).status.podIP, '/'), name, 'it serves all the time');
  }
  await lab('start', `agent/${node}`);
  const { processes, pods: now } = await atRest();
  for (const old of before) {
    const same = processes.find(({ pid }) => pid === old.pid);
    assert.deepEqual(same, old, 'same process, same start, same pod');
    const adopted = now.find(({ metadata }) => metadata.name === old.pod);
    assert.ok(adopted !== undefined);
    assert.equal(restarts(adopted), 0);
  }
  await eventually('who died meanwhile is reported with its own exit code', 20_000, async () => {
    const once = (await pod('once')).status;
    const again = (await pod('again')).status.containerStatuses?.[0];
    assert.equal(once.phase, 'Failed');
    assert.equal(once.containerStatuses?.[0]?.state?.terminated?.exitCode, 7);
    assert.equal(again?.lastState?.terminated?.exitCode, 7);
    assert.equal(again.restartCount, 1);
    return true;
  });
  await fleet.kubectl.ok(['delete', 'pod', 'once', 'again']);
});

test('an agent whose disk fails a sync ends itself, its pods live on, and it starts again', async () => {
  const node = await nodeWithPods();
  const here = workloads().filter((process) => process.node === node);
  await fleet.kubectl.ok(['apply', '-f', '-'], barePod('unkept', node, 'Always'));
  await fleet.kubectl.ok(['wait', '--for=condition=Ready', 'pod/unkept']);
  const { podIP } = (await pod('unkept')).status;
  await eventually('it serves', 20_000, () => ask(podIP, '/'));
  const log = join(fleet.stateFolder, `logs/agent-${node}.log`);
  const begin = readFileSync(log).length;
  const runFile = readFileSync(join(fleet.stateFolder, `run/agent-${node}.json`), 'utf8');
  const failing = await failFromNowOn((JSON.parse(runFile) as { pid: number }).pid, 'fdatasync');
  // What there is to say about this cannot be kept.
  await assert.rejects(ask(podIP, '/exit'));
  await failing.ended;
  assert.match(failing.output(), /EIO.*\(INJECTED\)[^]*\+\+\+ exited with 1 \+\+\+/);
  const said = readFileSync(log).subarray(begin).toString('utf8');
  assert.match(said, /"level":"error".*log: latched; no more appends/);
  const lastWords = 'the disk has failed: this agent ends, and its pods go on';
  assert.match(said, new RegExp(`"level":"error".*${lastWords}`));
  await eventually('up says who has ended, why, and what to do', 20_000, () => {
    const told = `the agent of ${node} has ended (${lastWords}): selvage lab start agent/${node} starts it again`;
    return Promise.resolve(fleet.output().includes(told) ? true : undefined);
  });
  const stillHere = (): Workload[] =>
    workloads().filter(({ pid }) => here.some((old) => old.pid === pid));
  assert.deepEqual(stillHere(), here, 'they run on');
  await lab('start', `agent/${node}`);
  await atRest();
  assert.deepEqual(stillHere(), here, 'they are adopted');
  await eventually('what could not be kept is found and reported', 20_000, async () => {
    const [status] = (await pod('unkept')).status.containerStatuses ?? [];
    assert.equal(status?.lastState?.terminated?.exitCode, 7);
    assert.equal(status.restartCount, 1);
    return true;
  });
  await fleet.kubectl.ok(['delete', 'pod', 'unkept']);
});

test('without a server pods serve, crash, restart, and start again from the disk of their node', async () => {
  const { pods: known, processes: before } = await atRest();
  const crashed = before[0];
  assert.ok(crashed !== undefined);
  const dark = before.find(({ node }) => node !== crashed.node)?.node ?? '';
  const addressOf = (name: string): string | undefined =>
    known.find(({ metadata }) => metadata.name === name)?.status.podIP;
  const restartsBefore = (name: string): number =>
    known.find(({ metadata }) => metadata.name === name)?.status.containerStatuses?.[0]
      ?.restartCount ?? 0;
  await lab('kill', 'server');
  // Times in events are whole seconds.
  await wait(1_000);
  const awayFromMs = Math.floor(Date.now() / 1_000) * 1_000;
  for (const { pod: name } of before) assert.equal(await ask(addressOf(name), '/'), name);
  await assert.rejects(ask(addressOf(crashed.pod), '/exit'));
  await eventually('the agent alone restarts it', 20_000, async () => {
    return (await ask(addressOf(crashed.pod), '/')) === crashed.pod ? true : undefined;
  });

  await lab('kill', dark);
  assert.ok(!workloads().some(({ node }) => node === dark));
  await lab('start', dark);
  const startedAtMs = performance.now();
  const wanted = before.filter(({ node }) => node === dark);
  await eventually('its pods start from its disk', startsFromDiskAfterMs + 5_000, () => {
    const running = workloads().filter(({ node }) => node === dark);
    return Promise.resolve(running.length === wanted.length ? true : undefined);
  });
  const waitedMs = performance.now() - startedAtMs;
  assert.ok(waitedMs > startsFromDiskAfterMs - 2_000, `it asks the server first: ${waitedMs} ms`);

  const alone = workloads();
  // What is seen once is told once: after that nothing more happens until the server is back.
  await wait(1_000);
  const awayUntilMs = Date.now();
  await lab('start', 'server');
  await eventually('the server answers', 20_000, async () =>
    (await fleet.kubectl.attempt(['get', 'nodes'])).status === 0 ? true : undefined,
  );
  const { processes } = await atRest();
  await wait(4 * heartbeatMs);
  assert.deepEqual(workloads(), alone, 'nothing was restarted');
  assert.deepEqual(processes, alone);
  for (const name of [crashed.pod, ...wanted.map((process) => process.pod)]) {
    await eventually('what happened meanwhile is reported', toldWithinMs, async () => {
      const count = (await pod(name)).status.containerStatuses?.[0]?.restartCount;
      assert.equal(count, restartsBefore(name) + 1, name);
      return true;
    });
  }
  await eventually('and in order', 20_000, async () => {
    const told = await eventsInOrderOfArrival();
    for (const node of new Set([crashed.node, dark])) {
      const meanwhile = told
        .filter(({ source }) => source?.component === 'agent' && source.host === node)
        .map((event) => ({ ...event, atMs: Date.parse(event.lastTimestamp) }))
        .filter(({ atMs }) => atMs >= awayFromMs && atMs <= awayUntilMs);
      const times = meanwhile.map(({ atMs }) => atMs);
      assert.deepEqual(
        times,
        times.toSorted((left, right) => left - right),
        'as it happened',
      );
      for (const name of before.filter((one) => one.node === node).map((one) => one.pod)) {
        const milestones = meanwhile
          .filter(({ involvedObject }) => involvedObject.name === name)
          .map(({ reason }) => reason)
          .filter((reason) => ['Exited', 'Created', 'Started'].includes(reason));
        const hasHappened: boolean = node === dark || name === crashed.pod;
        assert.deepEqual(milestones, hasHappened ? ['Exited', 'Created', 'Started'] : [], name);
      }
    }
    return true;
  });
});

/** A repeated event counts as told when it was told last. */
async function eventsInOrderOfArrival(): Promise<Event[]> {
  const { items } = await fleet.kubectl.json<{ items: Event[] }>(['get', 'events']);
  return items.toSorted(
    ({ metadata: left }, { metadata: right }) =>
      Number(left.resourceVersion) - Number(right.resourceVersion),
  );
}

test('a pod that asks for it stops when its node is cut off, and comes back', async () => {
  const annotations = { 'selvage.dev/on-cut': 'stop-after=2s' };
  const refused = await fleet.kubectl.attempt(
    ['apply', '-f', '-'],
    deployment('never', 1, { 'selvage.dev/on-cut': 'stop-after=soon' }),
  );
  assert.match(refused.stderr, /selvage\.dev\/on-cut.*soon/);
  await fleet.kubectl.ok(['apply', '-f', '-'], deployment('stops', 1, annotations));
  await fleet.kubectl.ok(['rollout', 'status', 'deployment/stops', '--timeout=20s']);
  await eventually('it runs', 20_000, () =>
    Promise.resolve(workloads('stops-').length === 1 ? true : undefined),
  );
  await lab('kill', 'server');
  await eventually('it has stopped', 20_000, () =>
    Promise.resolve(workloads('stops-').length === 0 ? true : undefined),
  );
  assert.equal(workloads().length, replicas, 'the others go on');
  await lab('start', 'server');
  await eventually('it runs again', 30_000, async () => {
    const ready = (await pods('app=stops')).filter(isReady);
    return ready.length === 1 && workloads('stops-').length === 1 ? true : undefined;
  });
  assert.match(await fleet.kubectl.ok(['get', 'events']), /StoppedByCutPolicy.*pod\/stops-/);
  await fleet.kubectl.ok(['delete', 'deployment', 'stops']);
});

test('taints that execute and a drain empty a node, and it fills again', async () => {
  const { kubectl } = fleet;
  const node = await nodeWithPods();
  const tolerationSeconds = toleratedMs / 1_000;
  const tolerations = [{ key: 'heat', operator: 'Exists', effect: 'NoExecute', tolerationSeconds }];
  await kubectl.ok(['apply', '-f', '-'], barePod('patient', node, 'Always', { tolerations }));
  await kubectl.ok(['wait', '--for=condition=Ready', 'pod/patient']);
  // Its container is said to have started before its program is on.
  await eventually('its program runs', 20_000, () =>
    Promise.resolve(workloads('patient').length === 1 ? true : undefined),
  );
  const taintedAtMs = performance.now();
  await kubectl.ok(['taint', 'node', node, 'heat=high:NoExecute']);
  const patientGone = eventually('a pod that tolerates it for a while goes', 20_000, () =>
    Promise.resolve(workloads('patient').length === 0 ? true : undefined),
  ).then(() => performance.now() - taintedAtMs);
  const emptied = async (): Promise<void> => {
    await eventually('the node is empty', 20_000, async () => {
      const { processes } = await atRest();
      return processes.every((process) => process.node !== node) ? true : undefined;
    });
  };
  await emptied();
  const stayedMs = await patientGone;
  assert.ok(stayedMs >= toleratedMs, `it stayed for ${stayedMs} ms`);
  assert.match(await kubectl.ok(['get', 'events']), /TaintManagerEviction.*heat=high:NoExecute/);
  await kubectl.ok(['taint', 'node', node, 'heat-']);
  const own = 'node.kubernetes.io/unreachable=:NoExecute';
  assert.match((await kubectl.attempt(['taint', 'node', node, own])).stderr, /the hub alone sets/);

  const next = await nodeWithPods();
  const env = [{ name: 'STUBBORN', value: '1' }];
  await kubectl.ok(['apply', '-f', '-'], barePod('stubborn', next, 'Always', { env }));
  await kubectl.ok(['wait', '--for=condition=Ready', 'pod/stubborn']);
  const { podIP } = (await pod('stubborn')).status;
  await eventually('it serves', 20_000, () => ask(podIP, '/'));
  const drainedAtMs = performance.now();
  const grace = `--grace-period=${graceMs / 1_000}`;
  const drained = await kubectl.ok(['drain', next, '--force', grace, '--timeout=30s']);
  const drainedForMs = performance.now() - drainedAtMs;
  assert.match(drained, new RegExp(`node/${next} drained`));
  assert.ok(workloads('').every((process) => process.node !== next));
  // It does not end when it is asked to; so it had its grace, and not the 30 s of its own.
  assert.ok(drainedForMs >= graceMs && drainedForMs < 25_000, `it took ${drainedForMs} ms`);
  await kubectl.ok(['uncordon', next]);
  await atRest();
});

test('killed in any order and started again, the fleet is what was declared', async () => {
  const order = ['depot-1', 'harbour-1', 'harbour-2', 'mill-1', 'server'];
  for (const name of order) await lab('kill', name);
  await startAll(order);
  await atRest(60_000);
});

test('killed at any moment, while others come back, the fleet is what was declared', async () => {
  const names = ['agent/harbour-1', 'server', 'agent/depot-1', 'harbour-2', 'mill-1'];
  const moments = names.map((name) => ({
    name,
    killAfterMs: Math.round(Math.random() * killedWithinMs),
    startAfterMs: Math.round(Math.random() * backWithinMs),
  }));
  try {
    await Promise.all(
      moments.map(async ({ name, killAfterMs, startAfterMs }) => {
        await wait(killAfterMs);
        await lab('kill', name);
        await wait(startAfterMs);
        await lab('start', name);
      }),
    );
    await atRest(60_000);
  } catch (cause) {
    throw new Error(`with these moments: ${JSON.stringify(moments)}`, { cause });
  }
});

test('deleting the Node of a machine that is gone lets its pods go', async () => {
  const { kubectl } = fleet;
  const node = await nodeWithPods();
  await kubectl.ok(['apply', '-f', '-'], barePod('alone', node, 'Always'));
  await kubectl.ok(['wait', '--for=condition=Ready', 'pod/alone']);
  await lab('kill', node);
  // Not a promise of ten seconds: a hub that has just started, or heard of nobody for a
  // moment, gives every node sixteen before it gives up anything.
  await eventually('its pods are given up', 30_000, async () =>
    (await pod('alone')).status.reason === 'NodeLost' ? true : undefined,
  );
  await kubectl.ok(['delete', 'pod', 'alone', '--wait=false']);
  await wait(2 * heartbeatMs);
  assert.notEqual((await pod('alone')).metadata.deletionTimestamp, undefined, 'it stays');
  await kubectl.ok(['delete', 'node', node]);
  await eventually('nothing of it is left', 40_000, async () => {
    const all = await kubectl.json<{ items: Pod[] }>(['get', 'pods']);
    return all.items.length === replicas && all.items.every(isReady) ? true : undefined;
  });
});
