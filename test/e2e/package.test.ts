// The package as somebody gets it who has Node.js and npm and nothing of ours: packed,
// installed into an empty folder, started there with npx. And the agent as one file.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
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
import { buildBundles } from '../../tools/build/bundles.ts';
import { buildExecutable } from '../../tools/build/executable.ts';
import { blocksOf } from './helpers/documents.ts';
import { eventually, projectFolder } from './helpers/fleet.ts';
import { startMachine } from './helpers/installed-machine.ts';
import { type Kubectl, kubectlFor, run } from './helpers/kubectl.ts';
import { processesIn } from './helpers/processes.ts';

const apiPort = 21_443 + (process.pid % 500) * 4;
const installTimeoutMs = 300_000;

let folder: string;
let home: string;
let packed: { filename: string; files: { path: string }[]; size: number };

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'selvage-package-'));
  home = join(folder, 'home');
  mkdirSync(home);
  const result = await run('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: projectFolder,
  });
  assert.equal(result.status, 0, result.stderr);
  // What `prepack` prints comes first.
  packed = (JSON.parse(result.stdout.slice(result.stdout.indexOf('[\n'))) as (typeof packed)[])[0]!;
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('the package holds JavaScript, examples and units, and neither sources nor secrets', () => {
  const paths = packed.files.map(({ path }) => path);
  for (const wanted of [
    'selvage',
    'dist/selvage.mjs',
    'dist/agent.cjs',
    'dist/third-party.txt',
    'examples/edge-microservice/deployment.yaml',
    'LICENSE',
  ]) {
    assert.ok(paths.includes(wanted), `${wanted} is missing`);
  }
  const strange = paths.filter((path) => /\.ts$|^(src|test|tools|bench|node_modules)\//.test(path));
  assert.deepEqual(strange, []);
  assert.ok(packed.size < 2_000_000, `${packed.size} bytes`);
});

test('the same sources give the same bundles, which know nothing of where they were built', async () => {
  const one = join(folder, 'one');
  const two = join(folder, 'two', 'deeper');
  await buildBundles(projectFolder, one);
  await buildBundles(projectFolder, two);
  for (const file of readdirSync(one)) {
    const text = readFileSync(join(one, file), 'utf8');
    assert.equal(text, readFileSync(join(two, file), 'utf8'), file);
    assert.ok(!text.includes(projectFolder), `${file} names ${projectFolder}`);
  }
});

interface Running {
  readonly child: ChildProcess;
  output(): string;
  /** Ctrl-C, and wait; answers the exit code. */
  interrupt(): Promise<number | null>;
}

function start(program: string, words: readonly string[]): Running {
  // A process group of its own: Ctrl-C reaches all that the terminal has started.
  const child = spawn(program, words, {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString('utf8');
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    child,
    output: () => printed,
    async interrupt() {
      const { pid, exitCode, signalCode } = child;
      assert.ok(pid !== undefined, 'it has been started');
      if (exitCode === null && signalCode === null) process.kill(-pid, 'SIGINT');
      return await ended;
    },
  };
}

interface Pods {
  items: { metadata: { name: string }; status: { phase?: string; podIP?: string } }[];
}

async function runningPods(kubectl: Kubectl, selector: string, count: number): Promise<string[]> {
  return await eventually(`${count} running pods of ${selector}`, 60_000, async () => {
    const { items } = await kubectl.json<Pods>(['get', 'pods', '-l', selector]);
    const addresses = items.flatMap(({ status }) =>
      status.phase === 'Running' && status.podIP !== undefined ? [status.podIP] : [],
    );
    return addresses.length === count ? addresses : undefined;
  });
}

test('installed into an empty folder, npx starts a fleet that runs the example', async (t) => {
  const install = spawn('npm', ['install', '--prefix', home, join(folder, packed.filename)], {
    cwd: home,
    stdio: 'ignore',
    timeout: installTimeoutMs,
  });
  const status = await new Promise((resolve) => install.once('close', resolve));
  assert.equal(status, 0, 'npm install');
  assert.deepEqual(
    readdirSync(join(home, 'node_modules')).filter((name) => !name.startsWith('.')),
    [`node-linux-${process.arch}`, 'selvage'],
    'nothing comes with it but the Node.js that it runs on',
  );
  const version = await run('npx', ['selvage', 'version', '-o', 'json'], { cwd: home });
  assert.match(version.stdout, new RegExp(`"${process.version}"`), version.stderr);

  const up = start('npx', [
    ...['selvage', 'up', '--nodes', '2', '--api-fronts', '1'],
    ...['--api-port', String(apiPort), '--link-port', String(apiPort + 1)],
    ...['--pod-network', `127.${160 + (process.pid % 50)}`],
  ]);
  t.after(async () => {
    await up.interrupt();
  });
  await eventually('the fleet is ready', 90_000, async () => {
    assert.equal(up.child.exitCode, null, up.output());
    return up.output().includes('Fleet ready') ? true : undefined;
  });
  assert.match(up.output(), /npx selvage status/);
  const kubectl = kubectlFor(join(home, '.selvage/kubeconfig'));
  const example = join(home, 'node_modules/selvage/examples/edge-microservice/deployment.yaml');
  await kubectl.ok(['apply', '-f', example]);
  const addresses = await runningPods(kubectl, 'app=edge-microservice', 2);
  for (const address of addresses) {
    const answer = await eventually(`an answer of ${address}`, 20_000, async () => {
      const response = await fetch(`http://${address}:8080/`);
      return response.ok ? ((await response.json()) as { service: string }) : undefined;
    });
    assert.equal(answer.service, 'edge-microservice');
  }
  const roles = processesIn(home);
  assert.equal(roles.filter((words) => words.includes('/dist/agent.cjs ')).length, 2);
  assert.equal(roles.filter((words) => words.includes('/dist/selvage.mjs server ')).length, 1);
  assert.equal(roles.filter((words) => words.includes('/dist/selvage.mjs api-front')).length, 1);
  assert.deepEqual(
    roles.filter((words) => words.includes('.ts ')),
    [],
  );

  await t.test(
    'machines with nothing but the executable join, and run scripts and modules',
    async (t) => {
      await buildExecutable(projectFolder, folder);
      const executable = join(folder, 'selvage-agent');
      assert.equal((await run(executable, ['--version'])).stdout.trim(), '0.1.0');
      await runsOn('script');
      await runsOn('wasm');

      /** A machine whose only runtime is the given one joins, and the example runs there. */
      async function runsOn(runtime: 'script' | 'wasm'): Promise<void> {
        const node = `alone-${runtime}`;
        const joinFile = join(folder, `${node}.json`);
        const token = await run(
          'npx',
          ['selvage', 'join-token', '--site', 'harbour', '--file', joinFile],
          { cwd: home },
        );
        assert.equal(token.status, 0, token.stderr);
        const alone = start(executable, [
          ...['--name', node, '--state', join(folder, node), '--join-file', joinFile],
          ...['--runtimes', runtime],
        ]);
        t.after(async () => {
          await alone.interrupt();
        });
        await eventually('the node is ready', 30_000, async () => {
          assert.equal(alone.child.exitCode, null, alone.output());
          return / Ready /.test(await kubectl.ok(['get', 'node', node])) ? true : undefined;
        });
        const pod = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: node, labels: { app: node } },
          spec: {
            nodeSelector: { 'kubernetes.io/hostname': node },
            containers: [{ name: 'main', image: 'edge-service-image:latest' }],
          },
        };
        await kubectl.ok(['apply', '-f', '-'], JSON.stringify(pod));
        const [address = ''] = await runningPods(kubectl, `app=${node}`, 1);
        const answer = await eventually(`an answer of ${address}`, 20_000, async () => {
          const response = await fetch(`http://${address}:8080/`);
          return response.ok ? ((await response.json()) as { node: string }) : undefined;
        });
        assert.equal(answer.node, node);
        if (runtime === 'script') {
          const exec = (...words: string[]): Promise<string> =>
            kubectl.ok(['exec', node, '--', 'node', ...words]);
          assert.equal(await exec('-v'), `${process.version}\n`);
          assert.equal(await exec('-p', '6 * 7'), '42\n');
          const text = 'console.log(require("node:os").hostname(), process.argv.slice(1))';
          assert.equal(await exec('-e', text, 'one'), `${node} [ 'one' ]\n`);
          // Read by the executable's own Node.js, before any permission counts.
          const options = '--node-options=--require=/app/server.mjs';
          const refused = await kubectl.attempt(['exec', node, '--', 'node', '-v', options]);
          assert.match(refused.stderr, /no command is given the word --node-options/);
        }
        assert.equal(await alone.interrupt(), 0, alone.output());
        assert.deepEqual(processesIn(join(folder, node)), []);
      }
    },
  );

  // npm, which stands before it, ends by the signal itself.
  await up.interrupt();
  assert.match(up.output(), /stopped/);
  assert.deepEqual(processesIn(home), []);
  assert.ok(existsSync(join(home, '.selvage/fleet.json')));
});

test('docs/operations/install.md and upgrade.md: a machine is installed and upgraded as they say', async (t) => {
  const place = join(folder, 'machine');
  mkdirSync(place);
  const machine = await startMachine(place, '192.0.2.10');
  t.after(() => machine.remove());
  const block = (path: string, words: string): string => {
    const found = blocksOf(path).find(({ text }) => text.includes(words));
    assert.ok(found !== undefined, `${path} has a block with ${words}`);
    return found.text;
  };
  const [install, upgrade] = ['docs/operations/install.md', 'docs/operations/upgrade.md'];
  const work = (name: string): string => join(machine.workFolder, name);
  copyFileSync(join(folder, packed.filename), work('selvage-0.1.0.tgz'));
  copyFileSync(join(folder, packed.filename), work('selvage-0.2.0.tgz'));
  // The machine has no way out; what npm needs was fetched by the test before.
  const offline = 'export npm_config_offline=true\n';
  assert.match(await machine.ok(offline + block(install, 'npm install')), /selvage 0\.1\.0/);
  await machine.ok(block(install, 'selvage-server.service'));
  const kubeconfig = '/var/lib/selvage-server/kubeconfig';
  const kubectl = (words: string): string => `KUBECONFIG=${kubeconfig} kubectl ${words}`;
  await eventually('the server is ready', 30_000, async () => {
    const { status } = await machine.attempt(kubectl('get --raw /readyz'));
    return status === 0 ? true : undefined;
  });

  const place1 = { apiVersion: 'selvage.dev/v1', kind: 'Region', metadata: { name: 'home' } };
  const place2 = {
    apiVersion: 'selvage.dev/v1',
    kind: 'Site',
    metadata: { name: 'cellar' },
    spec: { region: 'home' },
  };
  writeFileSync(
    work('places.json'),
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [place1, place2] }),
  );
  await machine.ok(kubectl('apply -f places.json'));
  const selvage = '/opt/selvage/node_modules/.bin/selvage';
  const access = `--kubeconfig ${kubeconfig}`;
  await machine.ok(`${selvage} join-token --site cellar --file /etc/selvage/join.json ${access}`);
  copyFileSync(join(folder, 'selvage-agent'), work('selvage-agent'));
  copyFileSync(
    join(projectFolder, 'packaging/systemd/selvage-agent.service'),
    work('selvage-agent.service'),
  );
  await machine.ok('cp selvage-agent /opt/selvage/selvage-agent');
  await machine.ok(block(install, 'selvage-agent.service'));
  await eventually('the node is there', 30_000, async () => {
    const { status } = await machine.attempt(kubectl('get node cellar-1'));
    return status === 0 ? true : undefined;
  });
  await machine.ok(kubectl('wait --for=condition=Ready node/cellar-1 --timeout=30s'));
  const examples = '/opt/selvage/node_modules/selvage/examples/edge-microservice';
  await machine.ok(`${selvage} image push ${examples} ${access}`);
  await machine.ok(kubectl('run kept --image=edge-service-image:latest'));
  await machine.ok(kubectl('wait --for=condition=Ready pod/kept --timeout=60s'));
  const started = (): Promise<string> =>
    machine.ok(
      kubectl(
        "get pod kept -o jsonpath='{.status.containerStatuses[0].state.running.startedAt} {.status.containerStatuses[0].restartCount}'",
      ),
    );
  const before = await started();

  await machine.ok(offline + block(upgrade, 'npm install'));
  assert.ok(existsSync(work('before-upgrade.backup')));
  await machine.ok(block(upgrade, 'mv /opt/selvage/selvage-agent.new'));
  await eventually('the node is back with its pod', 60_000, async () => {
    await machine.ok(kubectl('wait --for=condition=Ready node/cellar-1 --timeout=1s'));
    const { items } = JSON.parse(await machine.ok(kubectl('get pods -o json'))) as {
      items: { status: { containerStatuses: { ready: boolean }[] } }[];
    };
    return items[0]?.status.containerStatuses[0]?.ready === true ? true : undefined;
  });
  assert.equal(await started(), before);
  await machine.ok('systemctl stop selvage-agent');
  await machine.ok('systemctl stop selvage-server');
});
