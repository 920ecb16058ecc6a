// The life of a pod, and ways into it, with the real kubectl: init containers and sidecars,
// probes, hooks, the end; exec, attach and port-forward. One fleet for the whole file.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, startFleet, type TestFleet } from './helpers/fleet.ts';
import { kubectlPath, run } from './helpers/kubectl.ts';

const image = 'pod-life:1';
const programs = {
  'serve.mjs': `
    import { createServer } from 'node:http';
    const state = { ready: process.argv[2] !== 'unready', alive: true };
    createServer((request, response) => {
      if (request.url === '/hang') return;
      if (request.url === '/toggle') state.ready = !state.ready;
      if (request.url === '/die') state.alive = false;
      const isFine = request.url === '/ready' ? state.ready : request.url === '/live' ? state.alive : true;
      if (!['/ready', '/live'].includes(request.url)) console.log('asked', request.url);
      response.writeHead(isFine ? 200 : 503);
      if (request.method === 'POST') request.pipe(response);
      else response.end('hello ' + request.url + '\\n');
    }).listen(Number(process.env.PORT ?? 8080), process.env.HOST, () => console.log('ready'));
    process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0); });`,
  'stubborn.mjs': `process.on('SIGTERM', () => console.log('no')); setInterval(() => {}, 1000); console.log('ready');`,
  'task.mjs': `console.log('did', process.argv[2]); process.exit(Number(process.argv[3] ?? 0));`,
  'noisy.mjs': `const line = 'noise '.repeat(2000) + '\\n';
    for (let mebibytes = 0; mebibytes < 200; mebibytes += 1) {
      for (let part = 0; part < 87; part += 1) process.stdout.write(line);
      await new Promise((next) => setTimeout(next, 20));
    }
    console.log('last words'); setInterval(() => {}, 1000);`,
  'talk.mjs': `import { createServer } from 'node:http';
    createServer((request, response) => response.end('talk\\n')).listen(8080, process.env.HOST);
    process.stdin.on('data', (bytes) => console.log('heard ' + bytes.toString().trim()));`,
  'echo.mjs': `let size = 0;
    process.stdin.on('data', (bytes) => { size += bytes.length; if (process.argv[2] === undefined) process.stdout.write(bytes); });
    process.stdin.on('end', () => { if (process.argv[2] !== undefined) console.log(size); process.exit(7); });`,
};

interface Status {
  ready: boolean;
  restartCount: number;
  state?: { terminated?: { exitCode: number; finishedAt: string }; running?: object };
  lastState?: { terminated?: { exitCode: number } };
  name: string;
}
interface Pod {
  status: {
    phase?: string;
    reason?: string;
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: Status[];
    initContainerStatuses?: Status[];
  };
}

let fleet: TestFleet;
const folder = mkdtempSync(join(tmpdir(), 'selvage-pod-life-'));

before(async () => {
  fleet = await startFleet();
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, name), text);
  const description = { name: image, entrypoint: ['serve.mjs'], include: Object.keys(programs) };
  writeFileSync(join(folder, 'image.json'), JSON.stringify(description));
  await fleet.pushImage(folder);
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

const container = (name: string, command: string[], more = {}) => ({
  name,
  image,
  command,
  ...more,
});

async function apply(name: string, spec: object): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 5, ...spec },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(pod));
}

const podOf = (name: string) => fleet.kubectl.json<Pod>(['get', 'pod', name]);
const waitFor = (name: string, what: string) =>
  fleet.kubectl.ok(['wait', `pod/${name}`, `--for=${what}`, '--timeout=40s']);
const statusOf = (pod: Pod, name: string) =>
  [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])].find(
    (status) => status.name === name,
  );
async function until(name: string, what: string, holds: (pod: Pod) => boolean): Promise<Pod> {
  return eventually(`${name}: ${what}`, 40_000, async () => {
    const pod = await podOf(name);
    return holds(pod) ? pod : undefined;
  });
}
const eventsOf = (name: string) =>
  fleet.kubectl.ok(['get', 'events', '--field-selector', `involvedObject.name=${name}`]);

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

test('init containers run in order, a sidecar serves before and outlives the work', async () => {
  await apply('ordered', {
    restartPolicy: 'Never',
    initContainers: [
      container('first', ['task.mjs', 'first']),
      container('side', ['serve.mjs'], {
        restartPolicy: 'Always',
        startupProbe: {
          httpGet: { path: '/', port: 8080 },
          periodSeconds: 1,
          failureThreshold: 30,
        },
      }),
      container('second', ['task.mjs', 'second']),
    ],
    containers: [container('main', ['task.mjs', 'main'])],
  });
  await waitFor('ordered', 'jsonpath={.status.phase}=Succeeded');
  const pod = await podOf('ordered');
  const events = await eventsOf('ordered');
  const order = [...events.matchAll(/Started container (\w+)/g)].map(([, name]) => name);
  assert.deepEqual(new Set(order), new Set(['first', 'side', 'second', 'main']));
  assert.equal(await fleet.kubectl.ok(['logs', 'ordered', '-c', 'first']), 'did first\n');
  const [side, main] = ['side', 'main'].map((name) => statusOf(pod, name)?.state?.terminated);
  assert.equal(side?.exitCode, 0, 'the sidecar was asked to end');
  assert.ok((side?.finishedAt ?? '') >= (main?.finishedAt ?? '~'));
  assert.match(await fleet.kubectl.ok(['logs', 'ordered', '-c', 'side']), /asked to end/);
});

test('an init container that fails for good fails the pod, and its containers never start', async () => {
  await apply('unable', {
    restartPolicy: 'Never',
    initContainers: [container('bad', ['task.mjs', 'bad', '3'])],
    containers: [container('main', ['serve.mjs'])],
  });
  await waitFor('unable', 'jsonpath={.status.phase}=Failed');
  const pod = await podOf('unable');
  assert.equal(statusOf(pod, 'bad')?.state?.terminated?.exitCode, 3);
  assert.equal(statusOf(pod, 'main')?.restartCount, 0);
  assert.equal(statusOf(pod, 'main')?.state?.terminated, undefined);
});

test('a pod is Ready when its probe says so, and restarted when it is not alive', async () => {
  const fast = { periodSeconds: 1, failureThreshold: 1 };
  await apply('probed', {
    containers: [
      container('main', ['serve.mjs', 'unready'], {
        ports: [{ name: 'web', containerPort: 8080 }],
        readinessProbe: { ...fast, httpGet: { path: '/ready', port: 'web' } },
        livenessProbe: { ...fast, failureThreshold: 3, httpGet: { path: '/live', port: 'web' } },
      }),
    ],
  });
  await waitFor('probed', 'jsonpath={.status.phase}=Running');
  assert.equal(statusOf(await podOf('probed'), 'main')?.ready, false);
  const ask = async (path: string) => {
    const { status } = await podOf('probed');
    await fetch(`http://${status.podIP}:8080${path}`);
  };
  await eventually('toggled', 20_000, async () => (await ask('/toggle'), true));
  await waitFor('probed', 'condition=Ready');
  await ask('/die');
  const pod = await until(
    'probed',
    'restarted',
    (one) => statusOf(one, 'main')?.restartCount === 1,
  );
  assert.equal(statusOf(pod, 'main')?.lastState?.terminated?.exitCode, 0);
  const events = await eventsOf('probed');
  assert.match(events, /Unhealthy.*Liveness probe failed: HTTP probe failed with statuscode: 503/);
  assert.match(events, /Killing.*failed liveness probe, will be restarted/);
});

test('a probe that hangs is cut off and counts as failed', async () => {
  await apply('hangs', {
    containers: [
      container('main', ['serve.mjs'], {
        livenessProbe: {
          httpGet: { path: '/hang', port: 8080 },
          periodSeconds: 1,
          failureThreshold: 2,
          terminationGracePeriodSeconds: 1,
        },
      }),
    ],
  });
  await until('hangs', 'restarted', (pod) => (statusOf(pod, 'main')?.restartCount ?? 0) >= 1);
  assert.match(await eventsOf('hangs'), /Liveness probe failed: no answer within 1000 ms/);
  await fleet.kubectl.ok(['delete', 'pod', 'hangs', '--now']);
});

test('a preStop hook is heard before the end, and SIGTERM may be ignored only so long', async () => {
  await apply('polite', {
    containers: [
      container('main', ['serve.mjs'], {
        lifecycle: { preStop: { httpGet: { path: '/bye', port: 8080 } } },
      }),
    ],
  });
  await apply('stubborn', {
    terminationGracePeriodSeconds: 2,
    containers: [container('main', ['stubborn.mjs'])],
  });
  await waitFor('polite', 'condition=Ready');
  await waitFor('stubborn', 'condition=Ready');
  await eventually('it listens', 20_000, async () =>
    (await fleet.kubectl.ok(['logs', 'polite'])).includes('ready') ? true : undefined,
  );
  const followed = fleet.kubectl.follow(['logs', '-f', 'polite']);
  await fleet.kubectl.ok(['delete', 'pod', 'polite', '--timeout=30s']);
  await eventually('its last words', 20_000, async () =>
    followed.lines.includes('asked to end') ? true : undefined,
  );
  assert.deepEqual(followed.lines, ['ready', 'asked /bye', 'asked to end']);
  await followed.close();
  const begunMs = Date.now();
  await fleet.kubectl.ok(['delete', 'pod', 'stubborn', '--timeout=30s']);
  const tookMs = Date.now() - begunMs;
  assert.ok(tookMs >= 1_900 && tookMs < 20_000, `${tookMs} ms`);
});

test('a log that grows without end is cut, the end of it is shown, and the log of a run before too', async () => {
  await apply('noisy', { containers: [container('main', ['noisy.mjs'])] });
  await eventually('it is told', 60_000, async () =>
    /LogCut.*longer than 10 MiB/.test(await eventsOf('noisy')) ? true : undefined,
  );
  const { uid } = (await fleet.kubectl.json<{ metadata: { uid: string } }>(['get', 'pod', 'noisy']))
    .metadata;
  const kept = async () => {
    const found = await run('find', [
      fleet.stateFolder,
      '-path',
      `*${uid}/main/log*`,
      '-size',
      '+1k',
    ]);
    const sizes = await Promise.all(
      found.stdout
        .trim()
        .split('\n')
        .map(async (path) => (await stat(path)).size),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  await eventually('it has said all', 60_000, async () =>
    (await fleet.kubectl.ok(['logs', 'noisy', '--tail=1'])) === 'last words\n' ? true : undefined,
  );
  await eventually('it is short', 30_000, async () =>
    (await kept()) < 32 * 1024 * 1024 ? true : undefined,
  );
  // Many megabytes: a link that is lost meanwhile ends them, and one asks again.
  const whole = await eventually('all of it is read', 60_000, () =>
    fleet.kubectl.ok(['logs', 'noisy']),
  );
  assert.ok(whole.endsWith('last words\n') && whole.length > 1_000_000);
  assert.equal(await fleet.kubectl.ok(['logs', 'noisy', '--since=1h', '--tail=1']), 'last words\n');
  await eventually('all of it is older than that', 30_000, async () =>
    (await fleet.kubectl.ok(['logs', 'noisy', '--since=1s'])) === '' ? true : undefined,
  );
  const stamped = await fleet.kubectl.ok(['logs', 'noisy', '--timestamps', '--tail=1']);
  const [, time = ''] = /^(\S+Z) last words\n$/.exec(stamped) ?? [];
  assert.ok(Math.abs(Date.now() - Date.parse(time)) < 120_000, stamped);
  const none = await fleet.kubectl.attempt(['logs', 'noisy', '--previous']);
  assert.match(none.stderr, /previous terminated container "main" in pod "noisy" not found/);
  await fleet.kubectl.ok(['delete', 'pod', 'noisy', '--now']);
  const before = await fleet.kubectl.ok(['logs', 'probed', '--previous']);
  assert.match(before, /asked to end/);
});

test('a pod beyond its active deadline is ended and Failed', async () => {
  await apply('late', { activeDeadlineSeconds: 2, containers: [container('main', ['serve.mjs'])] });
  await waitFor('late', 'jsonpath={.status.phase}=Failed');
  assert.equal((await podOf('late')).status.reason, 'DeadlineExceeded');
});

test('exec runs node and modules of the image as the workload, with streams and exit code', async () => {
  await apply('inside', {
    containers: [container('main', ['serve.mjs'], { env: [{ name: 'WORD', value: "it's $(X)" }] })],
  });
  await waitFor('inside', 'condition=Ready');
  const exec = (words: string[], input?: string) =>
    fleet.kubectl.attempt(
      ['exec', ...(input === undefined ? [] : ['-i']), 'inside', '--', ...words],
      input,
    );
  const look = `console.log(JSON.stringify([process.env.WORD, process.cwd(), process.getuid() > 100000,
    process.getgroups().length])); console.error('to errors'); process.exit(5)`;
  const seen = await exec(['node', '-e', look]);
  assert.equal(seen.status, 5);
  assert.deepEqual(JSON.parse(seen.stdout), ["it's $(X)", '/app', true, 1]);
  assert.match(seen.stderr, /to errors/);
  assert.deepEqual(await exec(['task.mjs', 'well']), {
    status: 0,
    stdout: 'did well\n',
    stderr: '',
  });
  const echoed = await exec(['echo.mjs'], 'a line\n');
  assert.equal(echoed.status, 7);
  assert.equal(echoed.stdout, 'a line\n');
  // More than all buffers on the way together.
  const counted = await exec(['echo.mjs', 'count'], 'x'.repeat(6 * 1024 * 1024));
  assert.equal(counted.stdout, `${6 * 1024 * 1024}\n`, counted.stderr);
  const written = await exec(['node', '-e', `process.stdout.write('y'.repeat(5e6))`]);
  assert.equal(written.stdout.length, 5e6);

  const absent = await exec(['sh', '-c', 'true']);
  assert.equal(absent.status, 127);
  assert.match(absent.stderr, /"sh" is not there/);
  const wider = await exec(['node', '--allow-child-process', '-e', '1']);
  assert.equal(wider.status, 126);
  const confined = `try { require('fs').readdirSync('/root') } catch (error) { console.log(error.code) }
    try { require('child_process').spawnSync('/bin/sh') } catch (error) { console.log(error.code) }`;
  const tried = await exec(['node', '-e', confined]);
  assert.equal(tried.stdout, 'ERR_ACCESS_DENIED\nERR_ACCESS_DENIED\n');
  const none = await fleet.kubectl.attempt(['exec', 'inside', '-c', 'other', '--', 'node']);
  assert.match(none.stderr, /container other is not valid for pod inside/);
});

test('what exec started ends with the client that asked for it', async () => {
  const marker = `setInterval(() => {}, 1000); console.log('begun')`;
  const child = spawn(kubectlPath(), ['exec', 'inside', '--', 'node', '-e', marker], {
    env: { ...process.env, KUBECONFIG: fleet.kubeconfig },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const runs = async () => (await run('pgrep', ['-f', 'setInterval.*begun'])).stdout.trim() !== '';
  assert.equal(await runs(), true);
  child.kill('SIGKILL');
  await eventually('it has ended', 20_000, async () => ((await runs()) ? undefined : true));
});

test('SPDY does for exec what WebSockets do, and either has terminals of the size of the caller', async () => {
  const env = { ...process.env, KUBECONFIG: fleet.kubeconfig };
  const spdy = { ...env, KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' };
  const words = ['exec', '-i', 'inside', '--', 'echo.mjs'];
  const echoed = await run(kubectlPath(), words, { env: spdy, input: 'over spdy\n' });
  assert.deepEqual([echoed.status, echoed.stdout], [7, 'over spdy\n']);
  const look = `setInterval(() => { if (process.stdout.columns === 97)
    { console.log(['size', process.stdout.rows, process.stdin.isTTY, process.env.TERM].join(' ')); process.exit(6); } }, 50); setTimeout(() => process.exit(9), 20000)`;
  writeFileSync(
    join(folder, 'look.sh'),
    `stty rows 31 cols 97; ${kubectlPath()} exec -it inside -- node -e "$LOOK"\n`,
  );
  for (const environment of [env, spdy]) {
    const words = ['-qec', `sh ${join(folder, 'look.sh')}`, '/dev/null'];
    const terminal = await run('script', words, { env: { ...environment, LOOK: look }, input: '' });
    assert.match(terminal.stdout, /size 31 true xterm/, terminal.stdout);
    assert.equal(terminal.status, 6);
  }
});

test(
  'kubectl cp copies both ways what a container may read and write, and no more',
  { timeout: 90_000 },
  async () => {
    await apply('copied', {
      volumes: [{ name: 'data', emptyDir: { sizeLimit: '4Mi' } }],
      containers: [
        container('main', ['serve.mjs'], { volumeMounts: [{ name: 'data', mountPath: '/data' }] }),
      ],
    });
    await waitFor('copied', 'condition=Ready');
    const source = join(folder, 'source');
    mkdirSync(join(source, 'inner'), { recursive: true });
    writeFileSync(join(source, 'inner/large'), randomBytes(2_000_000));
    writeFileSync(join(source, 'note'), 'a note\n');
    symlinkSync('note', join(source, 'link'));
    await fleet.kubectl.ok(['cp', source, 'copied:/data/there']);
    await fleet.kubectl.ok(['cp', join(source, 'note'), 'copied:/tmp/note']);
    const back = join(folder, 'back');
    await fleet.kubectl.ok(['cp', '--retries=3', 'copied:/data/there/inner', back]);
    assert.deepEqual(readFileSync(join(back, 'large')), readFileSync(join(source, 'inner/large')));
    await fleet.kubectl.ok(['cp', 'copied:/tmp/note', join(folder, 'note-back')]);
    assert.equal(readFileSync(join(folder, 'note-back'), 'utf8'), 'a note\n');
    const listed = await fleet.kubectl.ok(['exec', 'copied', '--', 'ls', '-l', '/data/there']);
    assert.match(listed, /link -> note/);
    assert.equal(
      await fleet.kubectl.ok(['exec', 'copied', '--', 'cat', '/data/there/link']),
      'a note\n',
    );
    for (const target of ['/app/escape.mjs', '/etc/passwd', '/runtime/node', '/x']) {
      const refused = await fleet.kubectl.attempt(['cp', join(source, 'note'), `copied:${target}`]);
      assert.notEqual(refused.status, 0, target);
      assert.match(refused.stderr, /Read-only file system|Permission denied|busy/, target);
    }
    // `kubectl cp` itself ends with the archive and may not wait for what is said of it.
    const absent = await fleet.kubectl.attempt([
      'exec',
      'copied',
      '--',
      'tar',
      'cf',
      '-',
      '/root/x',
    ]);
    assert.match(absent.stderr, /No such file or directory/);
    assert.notEqual(absent.status, 0);
    const secret = await fleet.kubectl.attempt(['exec', 'copied', '--', 'cat', '/proc/1/environ']);
    assert.match(secret.stderr, /Permission denied|No such file/);
  },
);

test('attach -i gives a workload its input, and its end where the first who came was all', async () => {
  const input = { stdin: true, stdinOnce: true };
  await apply('listens', {
    restartPolicy: 'Never',
    containers: [container('main', ['echo.mjs'], input)],
  });
  await waitFor('listens', 'jsonpath={.status.phase}=Running');
  const attached = await fleet.kubectl.attempt(['attach', '-i', 'listens'], 'over attach\n');
  assert.match(attached.stdout, /over attach/, attached.stderr);
  await waitFor('listens', 'jsonpath={.status.phase}=Failed');
  assert.equal(statusOf(await podOf('listens'), 'main')?.state?.terminated?.exitCode, 7);
  const silent = await fleet.kubectl.attempt(['attach', '-i', 'inside'], 'x');
  assert.match(silent.stderr + silent.stdout, /stdin: true|Unable to use a TTY|input of container/);
});

/** Those that lie beside the one on the path, each of a minor version; else that one alone. */
function kubectlsAtHand(): readonly string[] {
  const real = realpathSync(kubectlPath());
  const names = readdirSync(dirname(real)).filter((name) => /^kubectl\.1\.(29|3[0-9])$/.test(name));
  return names.length === 0 ? [real] : names.map((name) => join(dirname(real), name));
}

test(
  'every kubectl at hand gets into a container, copies and forwards',
  { timeout: 180_000 },
  async () => {
    const env = { ...process.env, KUBECONFIG: fleet.kubeconfig };
    writeFileSync(join(folder, 'one'), 'one file\n');
    const input = { stdin: true };
    const volumes = [{ name: 'data', emptyDir: {} }];
    await apply('any', {
      volumes,
      containers: [
        container('main', ['talk.mjs'], {
          ...input,
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        }),
      ],
    });
    await waitFor('any', 'condition=Ready');
    for (const path of kubectlsAtHand()) {
      const tell = basename(path);
      const ok = async (words: string[], text?: string): Promise<string> => {
        const ran = await run(path, words, { env, input: text ?? '' });
        assert.equal(ran.status, 0, `${tell} ${words.join(' ')}: ${ran.stderr}`);
        return ran.stdout;
      };
      const echoed = await run(path, ['exec', '-i', 'any', '--', 'echo.mjs'], {
        env,
        input: 'x\n',
      });
      assert.deepEqual([echoed.status, echoed.stdout], [7, 'x\n'], tell);
      const script = `${path} exec -it any -- node -p process.stdout.isTTY`;
      const terminal = await run('script', ['-qec', script, '/dev/null'], { env, input: '' });
      assert.match(terminal.stdout, /true/, tell);
      const back = join(folder, `back-${tell}`);
      await ok(['cp', join(folder, 'one'), 'any:/data/one']);
      await ok(['cp', 'any:/data/one', back]);
      assert.equal(readFileSync(back, 'utf8'), 'one file\n', tell);
      const attached = spawn(path, ['attach', '-i', 'any'], { env, stdio: 'pipe' });
      let said = '';
      attached.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
      attached.stdin.write(`by ${tell}\n`);
      await eventually(`${tell} attaches: ${said}`, 20_000, async () =>
        said.includes(`heard by ${tell}`) ? true : undefined,
      );
      attached.kill('SIGKILL');
      const port = await freePort();
      const words = ['port-forward', '--address', '127.0.0.1', 'pod/any', `${port}:8080`];
      const forwarding = spawn(path, words, { env, stdio: ['ignore', 'pipe', 'ignore'] });
      await new Promise((resolve) => forwarding.stdout.once('data', resolve));
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'talk\n', tell);
      forwarding.kill('SIGKILL');
    }
  },
);

test('attach shows what a workload says from then on', async () => {
  const attached = fleet.kubectl.follow(['attach', 'inside']);
  const { status } = await podOf('inside');
  await eventually('a line', 20_000, async () => {
    await fetch(`http://${status.podIP}:8080/attached`);
    return attached.lines.includes('asked /attached') ? true : undefined;
  });
  await attached.close();
});

async function forward(podPort: number, environment = {}): Promise<[ChildProcess, number]> {
  const port = await freePort();
  const words = ['port-forward', '--address', '127.0.0.1', 'pod/inside', `${port}:${podPort}`];
  const child = spawn(kubectlPath(), words, {
    env: { ...process.env, KUBECONFIG: fleet.kubeconfig, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('port-forward has ended')));
  });
  return [child, port];
}

test('port-forward carries connections to a port of the pod, several at a time', async () => {
  for (const environment of [{}, { KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }]) {
    const [child, port] = await forward(8080, environment);
    const paths = ['/one', '/two', '/three', '/four'];
    const answers = await Promise.all(
      paths.map(async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()),
    );
    assert.deepEqual(
      answers,
      paths.map((path) => `hello ${path}\n`),
    );
    const body = 'z'.repeat(3 * 1024 * 1024);
    const back = await fetch(`http://127.0.0.1:${port}/echo`, { method: 'POST', body });
    assert.equal((await back.text()).length, body.length);
    child.kill('SIGKILL');
  }
});

test('a port where nobody listens is told, and a pod that ends takes its connections with it', async () => {
  const [child, port] = await forward(9999);
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  await eventually('the reason', 20_000, async () =>
    /ECONNREFUSED/.test(said) ? true : undefined,
  );
  child.kill('SIGKILL');
  const [second, secondPort] = await forward(8080);
  const hanging = fetch(`http://127.0.0.1:${secondPort}/hang`);
  const cut = assert.rejects(hanging);
  await fleet.kubectl.ok(['delete', 'pod', 'inside', '--timeout=30s']);
  await cut;
  second.kill('SIGKILL');
});
