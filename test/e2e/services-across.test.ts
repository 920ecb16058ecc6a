// A service whose pods are on another machine: two network namespaces with a cable
// between them, so that neither sees the other's loopback addresses.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder } from './helpers/fleet.ts';
import { type CommandResult, kubectlPath, run } from './helpers/kubectl.ts';

interface Machine {
  readonly namespace: string;
  readonly address: string;
}

const selvage = join(projectFolder, 'selvage');
const folder = mkdtempSync(join(tmpdir(), 'selvage-across-'));
const kubeconfig = join(folder, 'server/kubeconfig');
const running: ChildProcess[] = [];
const upstairs: Machine = { namespace: `selvage-up-${process.pid}`, address: '192.0.2.10' };
const downstairs: Machine = { namespace: `selvage-down-${process.pid}`, address: '192.0.2.20' };

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function startOn({ namespace }: Machine, words: readonly string[]): () => string {
  const child = spawn('ip', ['netns', 'exec', namespace, selvage, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString('utf8');
    });
  }
  running.push(child);
  return () => printed;
}

async function runOn(
  { namespace }: Machine,
  words: readonly string[],
  input?: string,
): Promise<CommandResult> {
  const result = await run('ip', ['netns', 'exec', namespace, ...words], {
    env: { ...process.env, KUBECONFIG: kubeconfig },
    ...(input === undefined ? {} : { input }),
  });
  assert.equal(result.status, 0, `${words.join(' ')}\n${result.stdout}${result.stderr}`);
  return result;
}

const kubectl = (words: readonly string[], input?: string): Promise<CommandResult> =>
  runOn(upstairs, [kubectlPath(), ...words], input);

async function addNode(machine: Machine, name: string, site: string): Promise<void> {
  const joinFile = join(folder, `${name}.json`);
  await runOn(upstairs, [
    ...[selvage, 'join-token', '--site', site, '--expires', '10m', '--file', joinFile],
    ...['--kubeconfig', kubeconfig],
  ]);
  const output = startOn(machine, [
    ...['agent', '--name', name, '--state', join(folder, name), '--join-file', joinFile],
  ]);
  await eventually(`${name} has joined`, 30_000, async () =>
    output().includes('joined the fleet') ? true : undefined,
  );
  await kubectl(['wait', '--for=condition=Ready', `node/${name}`, '--timeout=60s']);
}

before(async () => {
  for (const { namespace } of [upstairs, downstairs]) {
    ip('netns', 'add', namespace);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  const cable = { up: `up${process.pid}`, down: `dn${process.pid}` };
  ip('link', 'add', cable.up, 'type', 'veth', 'peer', 'name', cable.down);
  for (const [end, { namespace, address }] of [
    [cable.up, upstairs],
    [cable.down, downstairs],
  ] as const) {
    ip('link', 'set', end, 'netns', namespace);
    ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', end);
    ip('-n', namespace, 'link', 'set', end, 'up');
  }
  const [api, link] = [`${upstairs.address}:7443`, `${upstairs.address}:7444`];
  const output = startOn(upstairs, [
    ...['server', '--state', join(folder, 'server'), '--api', api, '--link', link],
  ]);
  await eventually('the server is ready', 30_000, async () =>
    output().includes('server ready') ? true : undefined,
  );
  const places = [
    ['Region', 'house', {}],
    ['Site', 'attic', { region: 'house' }],
    ['Site', 'cellar', { region: 'house' }],
  ].map(([kind, name, spec]) => ({ apiVersion: 'selvage.dev/v1', kind, metadata: { name }, spec }));
  for (const place of places) await kubectl(['apply', '-f', '-'], JSON.stringify(place));
  await addNode(upstairs, 'attic-1', 'attic');
  await addNode(downstairs, 'cellar-1', 'cellar');
  await runOn(upstairs, [
    ...[selvage, 'image', 'push', join(projectFolder, 'examples/edge-microservice')],
    ...['--kubeconfig', kubeconfig],
  ]);
});

after(async () => {
  for (const child of running.reverse()) {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
    await new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve(undefined);
      else child.once('close', resolve);
    });
  }
  for (const { namespace } of [upstairs, downstairs]) ip('netns', 'delete', namespace);
  rmSync(folder, { recursive: true, force: true });
});

const pod = (name: string, site: string, labels: object, more: object): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: {
      nodeSelector: { 'selvage.dev/site': site },
      terminationGracePeriodSeconds: 1,
      ...more,
    },
  });

const server = { name: 'main', image: 'edge-service-image:latest' };

test('a service is answered from another machine, and nearer where it can be', async () => {
  await kubectl(
    ['apply', '-f', '-'],
    pod('below', 'cellar', { app: 'web' }, { containers: [server] }),
  );
  const ports = [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30080 }];
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { type: 'NodePort', selector: { app: 'web' }, ports },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(service));
  await kubectl(['wait', '--for=condition=Ready', 'pod/below', '--timeout=60s']);
  const { stdout } = await kubectl(['get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}']);
  const url = `http://${stdout.trim()}/`;
  type Answer = { pod: string; node: string };
  const ask = async (machine: Machine, at = url): Promise<Answer> => {
    const words = ['curl', '--silent', '--fail', '--max-time', '5', at];
    return JSON.parse((await runOn(machine, words)).stdout) as Answer;
  };
  const above = await eventually('an answer from below', 20_000, () => ask(upstairs));
  assert.deepEqual([above.pod, above.node], ['below', 'cellar-1']);
  assert.equal((await ask(downstairs)).pod, 'below');
  // By the address of either machine, from the other.
  assert.equal((await ask(downstairs, `http://${upstairs.address}:30080/`)).pod, 'below');
  assert.equal((await ask(upstairs, `http://${downstairs.address}:30080/`)).pod, 'below');
  const addresses = 'jsonpath={.items[*].status.addresses[0].address}';
  const nodes = await kubectl(['get', 'nodes', '-o', addresses]);
  assert.equal(nodes.stdout, `${upstairs.address} ${downstairs.address}`);
  // Many at once, each with its own answer.
  const many = await Promise.all(Array.from({ length: 30 }, () => ask(upstairs)));
  assert.deepEqual(new Set(many.map((answer) => answer.pod)), new Set(['below']));

  await kubectl(
    ['apply', '-f', '-'],
    pod('above', 'attic', { app: 'web' }, { containers: [server] }),
  );
  await kubectl(['wait', '--for=condition=Ready', 'pod/above', '--timeout=60s']);
  await eventually('the nearer one answers', 20_000, async () => {
    return (await ask(upstairs)).pod === 'above' ? true : undefined;
  });
  assert.equal((await ask(downstairs)).pod, 'below');
  await kubectl(['delete', 'pod', 'above', '--wait=true']);
  await eventually('the other one again', 20_000, async () => {
    return (await ask(upstairs)).pod === 'below' ? true : undefined;
  });
});
