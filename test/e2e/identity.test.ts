// Certificates of nodes with real processes: renewed while pods run, renewed after
// their end, revoked, and joined anew. Every command of
// docs/operations/certificates.md is run here as it stands there.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { type CommandResult, run } from './helpers/kubectl.ts';
import { rawApiFor } from './helpers/raw-api.ts';

const manifest = join(projectFolder, 'examples/edge-microservice/deployment.yaml');
const documentPath = join(projectFolder, 'docs/operations/certificates.md');
const certificateLifeMs = 10_000;

let fleet: TestFleet;
/** Where the document's commands are run: the clone and `.selvage` as it expects them. */
let folder: string;
/** The shell blocks of the document, in order; each test takes those that it runs. */
const blocks = [...readFileSync(documentPath, 'utf8').matchAll(/^```sh\n([^`]*)^```$/gm)].map(
  (match) => match[1] ?? '',
);
const ran = new Set<string>();

before(async () => {
  fleet = await startFleet([
    ...['--nodes', '2', '--heartbeat', '500ms'],
    ...['--node-certificate-life', `${certificateLifeMs / 1_000}s`],
  ]);
  folder = mkdtempSync(join(tmpdir(), 'selvage-certificates-'));
  symlinkSync(join(projectFolder, 'selvage'), join(folder, 'selvage'));
  symlinkSync(fleet.stateFolder, join(folder, '.selvage'));
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function shell(script: string): Promise<CommandResult> {
  const env = { ...process.env, KUBECONFIG: fleet.kubeconfig };
  return await run('sh', ['-e', '-c', script], { cwd: folder, env });
}

/** Runs the block of the document that holds `words`, as it stands there. */
async function runDocumented(words: string): Promise<string> {
  const block = blocks.find((candidate) => candidate.includes(words));
  assert.ok(block !== undefined, `the document has a block with ${words}`);
  ran.add(block);
  const result = await shell(block);
  assert.equal(result.status, 0, `${block}\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

const identityFile = (node: string, name: string): string =>
  readFileSync(join(fleet.stateFolder, 'nodes', node, 'identity', name), 'utf8');
const certificateOf = (node: string): X509Certificate =>
  new X509Certificate(identityFile(node, 'certificate.pem'));
const credentialsOf = (node: string) => ({
  cert: identityFile(node, 'certificate.pem'),
  key: identityFile(node, 'key.pem'),
});
const logOf = (node: string): string =>
  readFileSync(join(fleet.stateFolder, 'logs', `agent-${node}.log`), 'utf8');

async function isNodeReady(node: string): Promise<boolean> {
  const { status } = await fleet.kubectl.json<{
    status: { conditions?: { type: string; status: string }[] };
  }>(['get', 'node', node]);
  return (status.conditions ?? []).some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  );
}

/** Name, pid and start time of every process of a pod on this machine. */
async function podProcesses(): Promise<string[]> {
  const result = await fleet.selvage(['status', '-o', 'json']);
  const { processes } = JSON.parse(result.stdout) as {
    processes: { role: string; name: string; pid?: number; startTicks?: number }[];
  };
  return processes
    .filter((process) => process.role === 'pod')
    .map((process) => `${process.name} ${process.pid} ${process.startTicks}`)
    .sort();
}

async function renewedAfter(node: string, serialNumber: string): Promise<X509Certificate> {
  return await eventually(`a new certificate of ${node}`, 2 * certificateLifeMs, async () => {
    const certificate = certificateOf(node);
    return certificate.serialNumber === serialNumber ? undefined : certificate;
  });
}

/** Whether the hub keeps a connection with these credentials open for a moment. */
async function isLinkKept(credentials: { cert: string; key: string }): Promise<boolean> {
  const { ca } = rawApiFor(fleet.kubeconfig);
  const socket = connect({ host: '127.0.0.1', port: fleet.apiPort + 1, ca, ...credentials });
  const closed = new Promise<boolean>((resolve) => {
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.resume();
  });
  const kept = await Promise.race([closed, wait(500).then(() => true)]);
  socket.destroy();
  return kept;
}

/** One request on a connection of its own, continuing a TLS session where one is given. */
async function ask(
  credentials: { cert: string; key: string },
  session?: Buffer,
): Promise<{ status: number; text: string; session: Buffer | undefined; isResumed: boolean }> {
  const { ca } = rawApiFor(fleet.kubeconfig);
  const socket: TLSSocket = connect({
    ...{ host: '127.0.0.1', port: fleet.apiPort, ca },
    ...credentials,
    ...(session === undefined ? {} : { session }),
  });
  let kept: Buffer | undefined;
  let text = '';
  let isResumed = false;
  socket.on('session', (offered: Buffer) => (kept = offered));
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const node = new X509Certificate(credentials.cert).subject.match(/system:node:(\S+)/)?.[1] ?? '';
  await new Promise<void>((resolve, reject) => {
    socket.on('secureConnect', () => {
      isResumed = socket.isSessionReused();
      socket.write(`GET /api/v1/nodes/${node} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    });
    socket.on('close', () => resolve());
    socket.on('error', reject);
  });
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? '0');
  return { status, text, session: kept, isResumed };
}

/** A watch of the node's own Node, open until the server ends it. */
async function watchOwnNode(node: string): Promise<{ readonly ended: Promise<void> }> {
  const { ca } = rawApiFor(fleet.kubeconfig);
  const options = { host: '127.0.0.1', port: fleet.apiPort, ca, ...credentialsOf(node) };
  const socket = connect(options);
  const target = `/api/v1/nodes?watch=true&fieldSelector=metadata.name%3D${node}`;
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('"ADDED"')) resolve();
    });
    socket.once('close', () => reject(new Error('the watch ended before it told anything')));
  });
  return { ended };
}

test('certificates are renewed by themselves, again and again, while the pods run', async () => {
  await fleet.kubectl.ok(['apply', '-f', manifest]);
  const started = await eventually('two running pods', 30_000, async () => {
    const processes = await podProcesses();
    return processes.length === 2 ? processes : undefined;
  });
  for (const node of ['harbour-1', 'mill-1']) {
    const first = certificateOf(node);
    const lifeLeftMs = first.validToDate.getTime() - Date.now();
    assert.ok(lifeLeftMs > 0 && lifeLeftMs <= certificateLifeMs, `${lifeLeftMs} ms are left`);
    const second = await renewedAfter(node, first.serialNumber);
    const third = await renewedAfter(node, second.serialNumber);
    assert.ok(third.validToDate > second.validToDate);
    assert.deepEqual(third.publicKey, first.publicKey);
    assert.equal(await isNodeReady(node), true);
    const answer = await ask(credentialsOf(node));
    assert.equal(answer.status, 200, answer.text);
  }
  assert.deepEqual(await podProcesses(), started);
  assert.match(await runDocumented('openssl x509'), /system:node:mill-1/);
});

test('a node that was stopped past the end of its certificate renews it and is ready again', async () => {
  const pods = await podProcesses();
  assert.equal((await fleet.selvage(['lab', 'stop', 'agent/harbour-1'])).status, 0);
  const old = credentialsOf('harbour-1');
  const { validToDate, serialNumber } = certificateOf('harbour-1');
  await wait(validToDate.getTime() - Date.now() + 1_500);
  const answer = await ask(old);
  assert.equal(answer.status, 401, answer.text);
  assert.match(answer.text, /has expired/);
  assert.equal(await isLinkKept(old), false);
  assert.equal((await fleet.selvage(['lab', 'start', 'agent/harbour-1'])).status, 0);
  await renewedAfter('harbour-1', serialNumber);
  await eventually('harbour-1 ready', 20_000, async () =>
    (await isNodeReady('harbour-1')) ? true : undefined,
  );
  assert.equal((await ask(credentialsOf('harbour-1'))).status, 200);
  assert.equal(await isLinkKept(credentialsOf('harbour-1')), true);
  assert.deepEqual(await podProcesses(), pods, 'the pods ran on through all of it');
});

test('a revoked node is cut within a second, stays out, and is told what to do', async () => {
  const credentials = credentialsOf('mill-1');
  const before = await ask(credentials);
  assert.equal(before.status, 200, before.text);
  assert.ok(before.session !== undefined, 'the server offers to resume sessions');
  const watch = await watchOwnNode('mill-1');
  const linesBefore = logOf('mill-1').length;
  const said = await runDocumented('node revoke');
  const revokedMs = Date.now();
  assert.match(
    said,
    /revoked mill-1: its key is refused since .*\n.*\n {2}kubectl delete node mill-1/,
  );
  await eventually('the link is cut', 1_000, async () =>
    logOf('mill-1').slice(linesBefore).includes('the link to the parent is gone')
      ? true
      : undefined,
  );
  await watch.ended;
  assert.ok(Date.now() - revokedMs <= 1_500, 'link and watch are cut at once');

  for (const session of [undefined, before.session]) {
    const answer = await ask(credentials, session);
    assert.equal(answer.isResumed, session !== undefined);
    assert.equal(answer.status, 401, answer.text);
    assert.match(answer.text, /revoked/);
  }
  assert.equal(await isLinkKept(credentials), false);
  // The words are there for who looks at the machine, before and after a restart.
  const words =
    /was revoked\. To let the machine back in: .*kubectl delete node mill-1.*join-token/;
  const isTold = async (from: number) =>
    await eventually('the agent says why', 20_000, async () =>
      words.test(logOf('mill-1').slice(from)) ? true : undefined,
    );
  await isTold(linesBefore);
  assert.equal((await fleet.selvage(['lab', 'stop', 'agent/mill-1'])).status, 0);
  assert.equal((await fleet.selvage(['lab', 'start', 'agent/mill-1'])).status, 0);
  const linesAtRestart = logOf('mill-1').length;
  await isTold(linesAtRestart);
  await eventually('mill-1 is not ready', 20_000, async () =>
    (await isNodeReady('mill-1')) ? undefined : true,
  );
  assert.doesNotMatch(logOf('mill-1').slice(linesAtRestart), /connected to the hub/);
  const node = await fleet.kubectl.json<{
    metadata: { annotations?: Record<string, string> };
    spec: { unschedulable?: boolean };
  }>(['get', 'node', 'mill-1']);
  assert.equal(node.spec.unschedulable, true);
  assert.ok(node.metadata.annotations?.['selvage.dev/revoked'] !== undefined);
  assert.equal(await isNodeReady('harbour-1'), true);

  const twice = await shell('./selvage node revoke mill-1 -o json');
  assert.equal(JSON.parse(twice.stdout).reason, 'stolen from the mill');
  const unknown = await shell('./selvage node revoke nobody || exit $?');
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /nodes "nobody" has never joined/);
});

test('the machine comes back with a new key, and the old one stays refused', async () => {
  const old = credentialsOf('mill-1');
  const said = await runDocumented('rm -r .selvage');
  assert.match(said, /one machine can join site mill/);
  const joinFile = join(fleet.stateFolder, 'nodes/mill-1/join.json');
  assert.equal(statSync(joinFile).mode & 0o777, 0o600);
  await eventually('mill-1 ready', 30_000, async () =>
    (await isNodeReady('mill-1')) ? true : undefined,
  );
  assert.equal((await ask(credentialsOf('mill-1'))).status, 200);
  assert.equal((await ask(old)).status, 401);
  assert.equal(await isLinkKept(old), false);
});

test('a join file joins one machine, and its commands are the ones of the document', async () => {
  await runDocumented('--file mill-2.json');
  const file = join(folder, 'mill-2.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const printed = await shell('./selvage join-token --site mill --file other.json -o yaml');
  assert.match(printed.stdout, /^file: .*other\.json$/m);
  assert.doesNotMatch(printed.stdout, /selvage-join\./, 'the secret is in the file alone');
  const nowhere = await shell('./selvage join-token --site nowhere || exit $?');
  assert.equal(nowhere.status, 1);
  assert.match(nowhere.stderr, /sites\.selvage\.dev "nowhere" not found/);
  const unwritable = await shell('./selvage join-token --site mill --file /proc/x.json || exit $?');
  assert.equal(unwritable.status, 1);
  assert.match(unwritable.stderr, /^selvage: \/proc\/x\.json cannot be written .* --file/);
  assert.deepEqual([...ran].sort(), [...blocks].sort(), 'every block of the document was run');
});
