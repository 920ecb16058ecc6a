// What goes wrong with pods and on nodes, with the real kubectl: each has a clear outcome
// and words to act on. One fleet of one node for the whole file. Elsewhere: probes that
// hang, logs without end (pod-life), failures Secrets (pod-config), node ports taken twice
// (services).
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, startFleet, type TestFleet } from './helpers/fleet.ts';

const node = 'harbour-1';
const serve = `
  import { createServer } from 'node:http';
  createServer((request, response) => response.end(JSON.stringify({ pid: process.pid })))
    .listen(8080, process.env.HOST);
  process.on('SIGTERM', () => process.exit(0));`;
const programs: Readonly<Record<string, string>> = {
  'serve.mjs': serve,
  'crash.mjs': `console.log('began'); console.error('no database'); process.exit(3);`,
  'task.mjs': `console.log('done');`,
  'deaf.mjs': `process.on('SIGTERM', () => console.log('not now')); setInterval(() => {}, 1000); console.log('up');`,
};

interface ContainerStatus {
  ready: boolean;
  restartCount: number;
  state: { waiting?: { reason: string; message?: string }; running?: object };
  lastState: { terminated?: { exitCode: number } };
}

interface Pod {
  metadata: { uid: string };
  spec: { nodeName?: string };
  status: { phase?: string; podIP?: string; containerStatuses?: [ContainerStatus] };
}

let fleet: TestFleet;
const folder = mkdtempSync(join(tmpdir(), 'selvage-bad-pods-'));

before(async () => {
  fleet = await startFleet(['--nodes', '1', '--heartbeat', '500ms']);
  await pushImage('bad-pods:1');
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Makes an image that no other has, as `note` is in it. */
async function pushImage(name: string): Promise<void> {
  for (const [file, text] of Object.entries(programs)) {
    writeFileSync(join(folder, file), `// ${name}\n${text}`);
  }
  const description = { name, entrypoint: ['serve.mjs'], include: Object.keys(programs) };
  writeFileSync(join(folder, 'image.json'), JSON.stringify(description));
  await fleet.pushImage(folder);
}

async function apply(name: string, container: object, spec: object = {}): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 2,
      containers: [{ name: 'main', image: 'bad-pods:1', ...container }],
      ...spec,
    },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(pod));
}

const podOf = (name: string): Promise<Pod> => fleet.kubectl.json<Pod>(['get', 'pod', name]);

async function until(
  name: string,
  what: string,
  timeoutMs: number,
  holds: (status: ContainerStatus, pod: Pod) => boolean,
): Promise<Pod> {
  return await eventually(`${name}: ${what}`, timeoutMs, async () => {
    const pod = await podOf(name);
    const status = pod.status.containerStatuses?.[0];
    return status !== undefined && holds(status, pod) ? pod : undefined;
  });
}

const untilReady = (name: string, timeoutMs = 60_000): Promise<Pod> =>
  until(name, 'ready', timeoutMs, ({ ready }) => ready);

async function untilDescribed(name: string, expected: RegExp): Promise<void> {
  let seen = '';
  await eventually(`${name} is described with ${expected}`, 60_000, async () => {
    seen = await fleet.kubectl.ok(['describe', 'pod', name]);
    return expected.test(seen) ? true : undefined;
  }).catch((error: unknown) => {
    throw new Error(seen, { cause: error });
  });
}

const remove = (name: string): Promise<string> =>
  fleet.kubectl.ok(['delete', 'pod', name, '--timeout=50s']);

/** All files below, relative to it. */
function filesIn(path: string): string[] {
  const found = readdirSync(path, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));
}

type Damage = 'changed' | 'cut';

/** As a disk that forgets: a few bytes in the middle, or all from there on. */
function damage(path: string, how: Damage): void {
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  if (how === 'cut') {
    truncateSync(path, middle);
    return;
  }
  for (let at = middle; at < Math.min(middle + 9, bytes.length); at += 1) {
    bytes[at] = bytes[at] === 0 ? 0xff : 0;
  }
  writeFileSync(path, bytes, { flag: 'r+' });
}

const damages: readonly Damage[] = ['changed', 'cut'];

/** One of each sort of file, without the pods' and the images' own names in it. */
function sortOf(file: string): string {
  return file.replaceAll(/[0-9a-f-]{16,}/gu, '*').replace(/^blobs\/blobs\/.*/u, 'blobs/blobs/*');
}

/** These are neither the agent's knowledge nor read by it, or only in place of a lost file. */
const untold = /^lock$|\/log$|\/run-\d+\.json$/u;
/** Looked at when something is next started from it. */
const toldAtStart = /^blobs\/|^images\//u;

/** A node without one of these is nobody to its server, whoever asks. */
const irreplaceable = ['ca.pem', 'certificate.pem', 'connection.json', 'key.pem'].map(
  (name) => `identity/${name}`,
);

async function fleetCommand(...words: string[]): Promise<void> {
  const { status, stderr } = await fleet.selvage(words);
  assert.equal(status, 0, stderr);
}

async function pidOf(name: string): Promise<number> {
  const { podIP } = (await podOf(name)).status;
  const answer = await fetch(`http://${podIP}:8080/`, { headers: { connection: 'close' } });
  return ((await answer.json()) as { pid: number }).pid;
}

// First, while the node has one image and nothing else.
test('whatever file of an agent is damaged: it says which, goes on without it, and stops nothing', async () => {
  await apply('steady', {});
  await apply('finished', { command: ['task.mjs'] }, { restartPolicy: 'Never' });
  await untilReady('steady');
  await until('finished', 'succeeded', 60_000, (_, { status }) => status.phase === 'Succeeded');
  const pid = await eventually('it answers', 30_000, () => pidOf('steady'));
  // Of the one that has ended only how it ended: the rest is the same sort as the other's.
  const finished = (await podOf('finished')).metadata.uid;
  const nodeFolder = join(fleet.stateFolder, 'nodes', node);
  const logPath = join(fleet.stateFolder, 'logs', `agent-${node}.log`);
  const sorts = new Map<string, string>();
  await eventually('the agent has written all that it writes', 30_000, async () => {
    const isTried = (file: string): boolean =>
      !irreplaceable.includes(file) && (!file.includes(finished) || file.endsWith('/exit.json'));
    const files = filesIn(nodeFolder).filter(isTried);
    for (const file of files)
      if (statSync(join(nodeFolder, file)).size > 8) sorts.set(sortOf(file), file);
    return [...sorts.keys()].some((sort) => sort.endsWith('/log.times')) ? true : undefined;
  });
  const failures: string[] = [];
  let nexts = 0;
  for (const [sort, file] of sorts) {
    for (const how of damages) {
      const path = join(nodeFolder, file);
      if (untold.test(file) && how === 'cut') continue;
      // What cannot be made again is not there a second time.
      if (!existsSync(path)) continue;
      await fleetCommand('lab', 'kill', `agent/${node}`);
      const whole = readFileSync(path);
      damage(path, how);
      const begin = readFileSync(logPath).length;
      await fleetCommand('lab', 'start', `agent/${node}`);
      const said = (): string => readFileSync(logPath).subarray(begin).toString('utf8');
      try {
        await eventually(`connected, ${sort} ${how}`, 60_000, async () =>
          said().includes('connected to the hub') ? true : undefined,
        );
        // The next that is started is started right, and its report arrives.
        nexts += 1;
        await apply(`next-${nexts}`, {});
        await untilReady(`next-${nexts}`);
        const name = toldAtStart.test(file) ? (/[0-9a-f]{64}/u.exec(file)?.[0] ?? file) : file;
        if (!untold.test(file)) {
          await eventually('it is told', 15_000, async () => {
            const lines = said().split('\n');
            return (
              lines.some((line) => /"level":"(?:warn|error)"/.test(line) && line.includes(name)) ||
              undefined
            );
          }).catch(() => void failures.push(`${file} ${how}: it is not told\n${said()}`));
        }
        assert.equal(await pidOf('steady'), pid, `${file} ${how}`);
        const [status] = (await podOf('steady')).status.containerStatuses ?? [];
        assert.deepEqual([status?.ready, status?.restartCount], [true, 0], `${file} ${how}`);
        assert.equal((await podOf('finished')).status.phase, 'Succeeded', `${file} ${how}`);
      } catch (error) {
        failures.push(`${file} ${how}: ${String(error)}\n${said()}`);
      }
      // It ends beside what follows.
      await fleet.kubectl.ok(['delete', 'pod', `next-${nexts}`, '--wait=false']);
      // Nobody has mended it, and the next file may be the one that it stands in for.
      if (untold.test(file)) writeFileSync(path, whole);
    }
  }
  assert.deepEqual(failures, []);
  await remove('steady');
  await remove('finished');
});

test('an agent whose identity is damaged names the file and what to do, and its pods go on', async () => {
  await apply('steady', {});
  await untilReady('steady');
  const pid = await eventually('it answers', 30_000, () => pidOf('steady'));
  const { podIP } = (await podOf('steady')).status;
  const logPath = join(fleet.stateFolder, 'logs', `agent-${node}.log`);
  await fleetCommand('lab', 'kill', `agent/${node}`);
  const startLogged = async (): Promise<() => string> => {
    const begin = readFileSync(logPath).length;
    await fleetCommand('lab', 'start', `agent/${node}`);
    return () => readFileSync(logPath).subarray(begin).toString('utf8');
  };
  const nodeFolder = join(fleet.stateFolder, 'nodes', node);
  const joinFile = join(nodeFolder, 'join.json');
  const joinAnew = [
    `  mv ${nodeFolder}/identity ${nodeFolder}/identity.damaged\n`,
    `  kubectl delete node ${node}\n`,
    `  selvage join-token --site SITE --file ${joinFile}\n`,
    `  --join-file ${joinFile}\n`,
  ];
  for (const file of irreplaceable) {
    for (const how of damages) {
      const path = join(fleet.stateFolder, 'nodes', node, file);
      const whole = readFileSync(path);
      damage(path, how);
      const damagedBytes = readFileSync(path);
      const said = await startLogged();
      await eventually(`${file} ${how} is told`, 30_000, async () =>
        said().includes(`${path} is damaged: `) && joinAnew.every((line) => said().includes(line))
          ? true
          : undefined,
      );
      assert.deepEqual(readFileSync(path), damagedBytes);
      const answer = await fetch(`http://${podIP}:8080/`, { headers: { connection: 'close' } });
      assert.equal(((await answer.json()) as { pid: number }).pid, pid);
      writeFileSync(path, whole);
      await eventually('it has ended', 30_000, async () =>
        /harbour-1 does not run/.test(
          (await fleet.selvage(['lab', 'stop', `agent/${node}`])).stderr,
        )
          ? true
          : undefined,
      );
    }
  }
  const said = await startLogged();
  await eventually('it is connected', 60_000, async () =>
    said().includes('connected to the hub') ? true : undefined,
  );
  assert.equal(await pidOf('steady'), pid);
  await remove('steady');
});

test('a pod that crashes in a loop waits longer each time, and says so with the code and the log', async () => {
  await apply('crashes', { command: ['crash.mjs'] });
  const waits = (seconds: number) =>
    until('crashes', `waits ${seconds} s`, 90_000, ({ state }) => {
      const { reason, message = '' } = state.waiting ?? {};
      return reason === 'CrashLoopBackOff' && message.startsWith(`back-off ${seconds}s restarting`);
    });
  await waits(10);
  const later = (await waits(20)).status.containerStatuses?.[0];
  assert.equal(later?.lastState.terminated?.exitCode, 3);
  assert.ok((later?.restartCount ?? 0) >= 2);
  await untilDescribed('crashes', /Warning +BackOff .*Back-off restarting failed container main/u);
  await untilDescribed('crashes', /Warning +Exited .*ended with exit code 3/u);
  assert.match(await fleet.kubectl.ok(['get', 'pod', 'crashes']), /0\/1 +CrashLoopBackOff +\d/u);
  assert.equal(await fleet.kubectl.ok(['logs', 'crashes']), 'began\nno database\n');
  await remove('crashes');
});

test('a pod whose image is nowhere says how to push it, and runs once that is done', async () => {
  await apply('absent', { image: 'not-yet:1' });
  const says =
    /FailedScheduling .*the registry of this fleet has no image not-yet:1; push it with: selvage image push <folder> not-yet:1/u;
  await untilDescribed('absent', says);
  await untilDescribed(
    'absent',
    /Warning +Failed .*Failed to pull image "not-yet:1": the registry/u,
  );
  const { state } = (await podOf('absent')).status.containerStatuses?.[0] ?? {};
  assert.match(state?.waiting?.reason ?? '', /^(?:ErrImagePull|ImagePullBackOff)$/u);
  assert.match(
    state?.waiting?.message ?? '',
    /no image not-yet:1; push it with: selvage image push/u,
  );
  const shown = await fleet.kubectl.ok(['get', 'pod', 'absent']);
  assert.match(shown, /absent +0\/1 +(?:ErrImagePull|ImagePullBackOff) +0 /u);
  assert.equal((await podOf('absent')).status.phase, 'Pending');
  await pushImage('not-yet:1');
  await untilReady('absent');
  await remove('absent');
});

test('a pod that asks for a digest that no image has waits, and names it', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  await apply('pinned', { image: `bad-pods@${digest}` });
  await untilDescribed('pinned', new RegExp(`FailedScheduling .*has no image bad-pods@${digest}`));
  await remove('pinned');
});

for (const how of damages) {
  test(`a layer that was ${how} on the server's disk starts nothing, and is told with its digest`, async () => {
    const blobs = join(fleet.stateFolder, 'server', 'blobs', 'blobs');
    const known = new Set(filesIn(blobs));
    const [name, image] = [`layer-${how}`, `bad-pods-${how}:1`];
    await pushImage(image);
    const isLayer = (file: string): boolean => readFileSync(join(blobs, file))[0] !== 0x7b;
    const [layer] = filesIn(blobs).filter((file) => !known.has(file) && isLayer(file));
    assert.ok(layer !== undefined, 'the layer is a file of its own');
    const whole = readFileSync(join(blobs, layer));
    damage(join(blobs, layer), how);
    await apply(name, { image });
    const digest = `sha256:${layer.slice(3)}`;
    await untilDescribed(
      name,
      new RegExp(
        `Warning +Failed .*"${image}": ${digest} is damaged on the server's disk .*selvage image push`,
        'u',
      ),
    );
    await until(name, 'backs off', 60_000, ({ state }) => {
      return state.waiting?.reason === 'ImagePullBackOff';
    });
    assert.equal((await podOf(name)).status.phase, 'Pending');
    // What the node was sent is on no disk of it.
    const onNode = filesIn(join(fleet.stateFolder, 'nodes', node, 'blobs'));
    assert.deepEqual(
      onNode.filter((file) => file.endsWith(layer.slice(3))),
      [],
    );
    // A push does not believe that what it brings is there.
    await pushImage(image);
    assert.deepEqual(readFileSync(join(blobs, layer)), whole);
    await untilReady(name, 90_000);
    await remove(name);
  });
}

test('a workload that ignores SIGTERM is killed after its grace, and its last word was heard', async () => {
  await apply('deaf', { command: ['deaf.mjs'] });
  await untilReady('deaf');
  const followed = fleet.kubectl.follow(['logs', '-f', 'deaf']);
  await eventually('it is up', 20_000, async () => followed.lines.includes('up') || undefined);
  const begunMs = Date.now();
  await remove('deaf');
  const tookMs = Date.now() - begunMs;
  assert.ok(tookMs >= 1_900 && tookMs < 30_000, `${tookMs} ms`);
  await eventually(
    'it was asked',
    10_000,
    async () => followed.lines.includes('not now') || undefined,
  );
  await followed.close();
  const events = ['get', 'events', '--field-selector', 'involvedObject.name=deaf'];
  assert.match(await fleet.kubectl.ok(events), /Killing/u);
});
