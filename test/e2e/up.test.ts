// `selvage up` as people start, stop, restart and mistype it. The tests follow each
// other on one state folder.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder } from './helpers/fleet.ts';
import { type CommandResult, type Kubectl, kubectlFor, run } from './helpers/kubectl.ts';
import { processesIn } from './helpers/processes.ts';

const selvage = join(projectFolder, 'selvage');
const apiPort = 23_443 + (process.pid % 500) * 4;
const ports = ['--api-port', String(apiPort), '--link-port', String(apiPort + 1)];
const network = ['--pod-network', `127.${210 + (process.pid % 40)}`];

let folder: string;
let state: string;
let kubectl: Kubectl;
const ups: Up[] = [];

interface Up {
  readonly child: ChildProcess;
  output(): string;
  readonly ended: Promise<number | null>;
}

interface FleetFile {
  nodes: { name: string }[];
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvage-up-'));
  state = join(folder, 'state');
  kubectl = kubectlFor(join(state, 'kubeconfig'));
});

after(async () => {
  for (const { child, ended } of ups) {
    child.kill('SIGINT');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

function begin(words: readonly string[]): Up {
  const child = spawn(selvage, ['up', '--state', state, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString('utf8');
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const up = { child, output: () => printed, ended };
  ups.push(up);
  return up;
}

async function says(up: Up, words: string): Promise<void> {
  const isOver = (): boolean => up.child.exitCode !== null;
  await eventually(`up says '${words}' or ends`, 90_000, async () =>
    up.output().includes(words) || isOver() ? true : undefined,
  );
  assert.ok(up.output().includes(words), up.output());
}

async function start(words: readonly string[]): Promise<Up> {
  const up = begin(words);
  await says(up, 'Fleet ready');
  return up;
}

async function stop(up: Up, signal: NodeJS.Signals): Promise<void> {
  up.child.kill(signal);
  assert.equal(await up.ended, 0, up.output());
  assert.deepEqual(processesIn(state), [], `${signal} leaves nothing behind`);
}

/** A command that is to end by itself. */
function attempt(words: readonly string[]): Promise<CommandResult> {
  return run(selvage, words);
}

async function nodeNames(): Promise<string> {
  const words = ['get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}'];
  return (await kubectl.ok(words)).split(' ').sort().join(' ');
}

const uidOf = async (kind: string, name: string): Promise<string> =>
  await kubectl.ok(['get', kind, name, '-o', 'jsonpath={.metadata.uid}']);

test('what is mistyped ends with 2 and says what there is; help ends with 0', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--nodes', '0'], /--nodes.*whole number from 1/],
    [['--nodes', '201'], /--nodes takes 1 to 200/],
    [['--nodes', 'two'], /--nodes/],
    [['--api-port', '70000'], /A port is a number from 1 to 65535/],
    [['--pod-network', '127'], /It takes two numbers, e\.g\. 127\.1/],
    [['--heartbeat', '10ms'], /--heartbeat takes a duration from 200ms to 60s/],
    [['--node-certificate-life', '1s'], /from 10s to 30d/],
    [['--no-such-option'], /unknown option '--no-such-option'[^]*add --help/],
    [['surplus'], /too many arguments/],
  ];
  for (const [words, message] of wrong) {
    const { status, stderr } = await attempt(['up', '--state', state, ...words]);
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, message);
  }
  const unknown = await attempt(['upp']);
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /unknown command 'upp'[^]*Did you mean up\?/);
  const help = await attempt(['up', '--help']);
  assert.equal(help.status, 0);
  for (const option of ['--state', '--fresh', '--nodes', '--api-port', '--heartbeat']) {
    assert.ok(help.stdout.includes(option), option);
  }
  assert.ok(!existsSync(state), 'none of it made anything');
});

test('--fresh does not empty a folder that holds no fleet', async () => {
  const precious = join(folder, 'precious');
  const { status: made } = await run('mkdir', [precious]);
  assert.equal(made, 0);
  writeFileSync(join(precious, 'thesis.txt'), 'years');
  const { status, stderr } = await attempt(['up', '--state', precious, '--fresh']);
  assert.equal(status, 1);
  assert.match(stderr, /holds no fleet, so --fresh does not empty it/);
  assert.deepEqual(readdirSync(precious), ['thesis.txt']);
});

test('a port that is taken is named, and nothing is left running', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(apiPort, '127.0.0.1', resolve);
  });
  const up = begin([...ports, ...network, '--nodes', '1']);
  assert.equal(await up.ended, 1);
  assert.match(up.output(), new RegExp(`the server ended while starting[^]*${apiPort}`));
  assert.deepEqual(processesIn(state), []);
  await new Promise((resolve) => {
    other.close(resolve);
  });
});

test('a fleet is started, and Ctrl-C stops it with all that it ran', async () => {
  const up = await start([...ports, ...network, '--nodes', '1']);
  assert.equal(await nodeNames(), 'harbour-1');
  const kept = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kept' },
    data: { a: 'b' },
  };
  await kubectl.ok(['apply', '-f', '-'], JSON.stringify(kept));

  const second = await attempt(['up', '--state', state]);
  assert.equal(second.status, 1);
  assert.match(second.stderr, new RegExp(`this fleet is up already \\(pid ${up.child.pid}`));
  assert.equal(await nodeNames(), 'harbour-1', 'the first one is not disturbed');
  await stop(up, 'SIGINT');
});

test('what a fleet was made with is not changed under it', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--api-port', '1234'], new RegExp(`made with --api-port ${apiPort}.*add --fresh`)],
    [['--link-port', '1234'], new RegExp(`made with --link-port ${apiPort + 1}`)],
    [['--pod-network', '127.9'], /made with --pod-network 127\.2/],
  ];
  for (const [words, message] of wrong) {
    const { status, stderr } = await attempt(['up', '--state', state, ...words]);
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, message);
  }
});

test('started again it is the same fleet; --nodes adds nodes, and takes none away', async () => {
  const kept = async (): Promise<string> => await uidOf('configmap', 'kept');
  const up = await start(['--nodes', '2']);
  assert.equal(await nodeNames(), 'harbour-1 mill-1');
  const uid = await kept();
  // A terminal that is closed is an end like any other.
  await stop(up, 'SIGHUP');

  const fewer = await attempt(['up', '--state', state, '--nodes', '1']);
  assert.equal(fewer.status, 2);
  assert.match(fewer.stderr, /this fleet has 2 nodes; taking nodes away needs a new fleet/);

  const again = await start([]);
  const { nodes } = JSON.parse(readFileSync(join(state, 'fleet.json'), 'utf8')) as FleetFile;
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ['harbour-1', 'mill-1'],
  );
  assert.equal(await kept(), uid);
  // No warning at all: the next one finds what it has left behind.
  again.child.kill('SIGKILL');
  await again.ended;
  assert.ok(processesIn(state).length > 0);
});

test('--fresh --dry-run names what would end and be deleted, and changes nothing', async () => {
  // The agents and the server that the killed `up` has left.
  const before = processesIn(state).length;
  const { status, stdout } = await attempt(['up', '--state', state, '--fresh', '--dry-run']);
  assert.equal(status, 0);
  assert.match(stdout, /end {4}the agent of mill-1 \(pid \d+\)[^]*end {4}the server \(pid \d+\)/);
  assert.match(stdout, /delete \S+state\/server: all objects[^]*nodes\/mill-1: key, volumes/);
  assert.match(stdout, /Nothing was changed\.\n$/);
  const kill = await attempt(['lab', 'kill', 'mill-1', '--state', state, '--dry-run']);
  assert.match(
    kill.stdout,
    /^would kill node mill-1 \(1 processes: \d+\)\. Nothing was changed\.\n$/,
  );
  const stopped = await attempt(['lab', 'stop', 'server', '--state', state, '--dry-run']);
  assert.match(stopped.stdout, /^would stop the server \(pid \d+\)\. Nothing was changed\.\n$/);
  assert.equal(processesIn(state).length, before);

  const alone = await attempt(['up', '--state', state, '--dry-run']);
  assert.equal(alone.status, 2);
  assert.match(alone.stderr, /--dry-run goes with --fresh/);
});

test('after a crash of up the next one tidies up and goes on; SIGTERM stops it too', async () => {
  const up = await start([]);
  assert.match(up.output(), /stopping what an earlier run has left behind/);
  assert.equal(await kubectl.ok(['get', 'configmap', 'kept', '-o', 'name']), 'configmap/kept\n');
  await stop(up, 'SIGTERM');
});

test('an interrupt while it starts stops what has been started', async () => {
  const up = begin([]);
  await says(up, 'starting 2 agents');
  await stop(up, 'SIGINT');
  assert.ok(!up.output().includes('Fleet ready'));
});

test('--fresh forgets the fleet and makes another, as small as one likes', async () => {
  const up = await start(['--fresh', ...ports, ...network, '--nodes', '1', '--heartbeat', '500ms']);
  assert.equal(await nodeNames(), 'harbour-1');
  const gone = await kubectl.attempt(['get', 'configmap', 'kept']);
  assert.match(gone.stderr, /NotFound/);
  await stop(up, 'SIGINT');
});

test('state that is damaged is named, and nothing is made anew', async () => {
  const file = join(state, 'fleet.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.slice(0, -20));
  const torn = await attempt(['up', '--state', state]);
  assert.equal(torn.status, 1);
  assert.match(torn.stderr, /fleet\.json is not valid JSON/);
  writeFileSync(file, text.replace('"formatVersion": 1', '"formatVersion": 7'));
  const newer = await attempt(['up', '--state', state]);
  assert.equal(newer.status, 1);
  assert.match(newer.stderr, /fleet\.json has format 7; this version reads format 1/);
});
