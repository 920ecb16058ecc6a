// Concurrent clients against a real server that is killed and started again, and against
// one whose fronts are: the history of every object is linearizable, and what was
// acknowledged stays.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { parse } from 'yaml';
import { projectFolder } from './helpers/fleet.ts';
import { type Operation, violationsOf } from './helpers/history.ts';

const clients = 8;
const watchers = 2;
const keys = ['a', 'b', 'c'];
const answeredMin = 1_000;
const apiPort = 19_000 + (process.pid % 400) * 2;
let folder = '';
const path = '/api/v1/namespaces/default/configmaps';

let server: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvage-linear-'));
});

afterEach(async () => {
  if (server?.exitCode === null && server.signalCode === null) {
    const ended = new Promise((resolve) => server?.once('close', resolve));
    server.kill('SIGKILL');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

function startServer(more: readonly string[] = []): ChildProcess {
  return spawn(
    join(projectFolder, 'selvage'),
    [
      'server',
      ...['--state', folder],
      ...['--api', `127.0.0.1:${apiPort}`],
      ...['--link', `127.0.0.1:${apiPort + 1}`],
      ...more,
    ],
    { stdio: 'ignore' },
  );
}

interface Access {
  call(method: string, target: string, body?: unknown): Promise<{ status: number; text: string }>;
  /** Resolves when the stream has ended, however; 0 where it never began. */
  lines(target: string, onLine: (line: string) => void): Promise<number>;
  close(): void;
}

/** Status 0: no answer came. */
function accessOf(): Access {
  const config = parse(readFileSync(join(folder, 'kubeconfig'), 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const pem = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');
  const agent = new Agent({
    keepAlive: true,
    ca: pem(config.clusters[0]?.cluster['certificate-authority-data']),
    cert: pem(config.users[0]?.user['client-certificate-data']),
    key: pem(config.users[0]?.user['client-key-data']),
  });
  return {
    call: (method, target, body) =>
      new Promise((resolve) => {
        const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
        const contentType =
          method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
        const sent = request(
          {
            host: '127.0.0.1',
            port: apiPort,
            method,
            path: target,
            agent,
            timeout: 5_000,
            headers:
              bytes === undefined
                ? {}
                : { 'content-type': contentType, 'content-length': bytes.length },
          },
          (answer) => {
            let text = '';
            answer.setEncoding('utf8');
            answer.on('data', (part: string) => {
              text += part;
            });
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
            answer.on('error', () => resolve({ status: 0, text: '' }));
          },
        );
        sent.on('error', () => resolve({ status: 0, text: '' }));
        sent.on('timeout', () => sent.destroy(new Error('timed out')));
        sent.end(bytes);
      }),
    lines: (target, onLine) =>
      new Promise((resolve) => {
        let status = 0;
        const sent = request(
          { host: '127.0.0.1', port: apiPort, path: target, agent },
          (answer) => {
            status = answer.statusCode ?? 0;
            let rest = '';
            answer.setEncoding('utf8').on('data', (part: string) => {
              const parts = (rest + part).split('\n');
              rest = parts.pop() ?? '';
              for (const line of parts) onLine(line);
            });
            answer.on('close', () => resolve(status));
            answer.on('error', () => resolve(status));
          },
        );
        sent.on('error', () => resolve(status));
        sent.end();
      }),
    close: () => agent.destroy(),
  };
}

interface Watched {
  readonly revisions: number[];
  /** What it was told to read again in place of events: after the first, up to the last. */
  readonly gaps: [number, number][];
  connections: number;
}

/** Watches from a revision, over every kill, as a client library does. */
async function runWatcher(from: number, watched: Watched, isOver: () => boolean): Promise<void> {
  const access = accessOf();
  let revision = from;
  while (!isOver()) {
    watched.connections += 1;
    let isGone = false;
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${revision}&timeoutSeconds=2`;
    await access.lines(`${path}?${query}`, (line) => {
      const { type, object } = JSON.parse(line) as { type: string; object: ConfigMap };
      if (type === 'ERROR') {
        isGone = true;
        return;
      }
      revision = Number(object.metadata.resourceVersion);
      if (type !== 'BOOKMARK') watched.revisions.push(revision);
    });
    if (isGone) {
      const { status, text } = await access.call('GET', path);
      if (status !== 200) continue;
      const list = JSON.parse(text) as { metadata: { resourceVersion: string } };
      watched.gaps.push([revision, Number(list.metadata.resourceVersion)]);
      revision = Number(list.metadata.resourceVersion);
    }
    await wait(20);
  }
  access.close();
}

async function untilReady(access: Access): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if ((await access.call('GET', '/readyz')).status === 200) return;
    await wait(50);
  }
  throw new Error('the server does not become ready');
}

interface ConfigMap {
  metadata: { resourceVersion: string };
  data: { value: string };
}

const now = (): number => performance.now();

/** One client: reads, writes and conditional writes in turn, until told to stop. */
async function runClient(
  client: number,
  history: Operation[],
  isOver: () => boolean,
): Promise<void> {
  const access = accessOf();
  for (let count = 0; !isOver(); count += 1) {
    const key = keys[(client + count) % keys.length] ?? 'a';
    const startedMs = now();
    const read = await access.call('GET', `${path}/${key}`);
    if (read.status !== 200) {
      await wait(20);
      continue;
    }
    const state = JSON.parse(read.text) as ConfigMap;
    const revision = Number(state.metadata.resourceVersion);
    const common = { client, key };
    history.push({
      ...common,
      kind: 'read',
      startedMs,
      endedMs: now(),
      outcome: 'ok',
      value: state.data.value,
      revision,
    });
    const isConditional = count % 2 === 0;
    const value = `${client}-${count}`;
    const writeStartedMs = now();
    const metadata = isConditional ? { resourceVersion: state.metadata.resourceVersion } : {};
    const answer = await access.call('PATCH', `${path}/${key}`, { metadata, data: { value } });
    const outcome = answer.status === 200 ? 'ok' : answer.status === 409 ? 'refused' : 'unknown';
    history.push({
      ...common,
      kind: isConditional ? 'conditional-write' : 'write',
      startedMs: writeStartedMs,
      endedMs: outcome === 'unknown' ? Number.POSITIVE_INFINITY : now(),
      outcome,
      value,
      ...(isConditional ? { baseRevision: revision } : {}),
      ...(outcome === 'ok'
        ? { revision: Number((JSON.parse(answer.text) as ConfigMap).metadata.resourceVersion) }
        : {}),
    });
  }
  access.close();
}

test('the checker tells a good history from bad ones', () => {
  const at = (
    kind: Operation['kind'],
    value: string,
    revision: number,
    startedMs: number,
    more: Partial<Operation> = {},
  ): Operation => ({
    client: 0,
    key: 'k',
    kind,
    startedMs,
    endedMs: startedMs + 1,
    outcome: 'ok',
    value,
    revision,
    ...more,
  });
  const good = [
    at('write', 'x', 1, 0),
    at('read', 'x', 1, 2),
    at('conditional-write', 'y', 2, 4, { baseRevision: 1 }),
    at('read', 'y', 2, 6),
  ];
  assert.deepEqual(violationsOf(good), []);
  const bad: [string, Operation[]][] = [
    ['stale read', [...good, at('read', 'x', 1, 8)]],
    ['lost write', [...good, at('write', 'z', 2, 8)]],
    ['two values at one revision', [...good, at('read', 'q', 2, 8)]],
    ['read of nothing', [...good, at('read', 'q', 3, 8)]],
    ['skipped version check', [...good, at('conditional-write', 'z', 3, 8, { baseRevision: 1 })]],
    ['revision used again', [...good, at('write', 'z', 1, 0.5)]],
  ];
  for (const [name, history] of bad) assert.notDeepEqual(violationsOf(history), [], name);
});

interface Kills {
  readonly server: readonly string[];
  readonly count: number;
  readonly everyMs: number;
  kill(access: Access): Promise<void>;
}

/** Runs clients and watchers over the kills and checks what they saw. */
async function checkHistories(kills: Kills): Promise<readonly Watched[]> {
  server = startServer(kills.server);
  for (let attempt = 0; !existsSync(join(folder, 'kubeconfig')); attempt += 1) {
    assert.ok(attempt < 200, 'the server writes its kubeconfig');
    await wait(50);
  }
  const access = accessOf();
  await untilReady(access);
  const history: Operation[] = [];
  for (const key of keys) {
    const startedMs = now();
    const value = `initial-${key}`;
    const created = await access.call('POST', path, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: key },
      data: { value },
    });
    assert.equal(created.status, 201, created.text);
    const revision = Number((JSON.parse(created.text) as ConfigMap).metadata.resourceVersion);
    const endedMs = now();
    history.push({
      client: -1,
      key,
      kind: 'write',
      startedMs,
      endedMs,
      outcome: 'ok',
      value,
      revision,
    });
  }

  const count = (outcome: Operation['outcome']): number =>
    history.filter((operation) => operation.outcome === outcome).length;
  let isOver = false;
  const running = Array.from({ length: clients }, (_, client) =>
    runClient(client, history, () => isOver),
  );
  let isWatchingOver = false;
  const begun = Math.max(...history.map(({ revision = 0 }) => revision));
  const watched = Array.from({ length: watchers }, (): Watched => ({
    revisions: [],
    gaps: [],
    connections: 0,
  }));
  const watching = watched.map((one) => runWatcher(begun, one, () => isWatchingOver));
  for (let kill = 0; kill < kills.count; kill += 1) {
    await wait(kills.everyMs);
    await kills.kill(access);
  }
  await wait(kills.everyMs);
  // A busy machine answers fewer in that time; what is checked is a history, not a speed.
  for (let attempt = 0; count('ok') < answeredMin && attempt < 600; attempt += 1) await wait(100);
  isOver = true;
  await Promise.all(running);
  for (const key of keys) {
    const startedMs = now();
    const read = await access.call('GET', `${path}/${key}`);
    const state = JSON.parse(read.text) as ConfigMap;
    const revision = Number(state.metadata.resourceVersion);
    const { value } = state.data;
    history.push({
      client: -1,
      key,
      kind: 'read',
      startedMs,
      endedMs: now(),
      outcome: 'ok',
      value,
      revision,
    });
  }
  access.close();
  // What was written last is still on its way to them.
  await wait(1_000);
  isWatchingOver = true;
  await Promise.all(watching);
  const acknowledged = history
    .filter(
      ({ kind, outcome, revision = 0 }) => kind !== 'read' && outcome === 'ok' && revision > begun,
    )
    .map(({ revision = 0 }) => revision);
  for (const { revisions, gaps, connections } of watched) {
    assert.ok(connections > 3, 'a watch was begun again and again');
    const risen = revisions.filter(
      (revision, at) => at === 0 || revision > (revisions[at - 1] ?? 0),
    );
    assert.deepEqual(revisions, risen, 'a watch has no duplicate and no step back');
    const shown = new Set(revisions);
    const missing = acknowledged.filter(
      (revision) =>
        !shown.has(revision) && !gaps.some(([after, to]) => revision > after && revision <= to),
    );
    assert.deepEqual(missing, [], 'a watch shows every write that was acknowledged');
    assert.ok(revisions.length > acknowledged.length / 2, `${revisions.length} were shown`);
  }

  assert.deepEqual(violationsOf(history), []);
  assert.ok(count('ok') >= answeredMin, `${count('ok')} operations were answered`);
  assert.ok(count('refused') > 0, 'clients got in each other’s way');
  assert.ok(count('unknown') > 0, 'kills hit writes under way');
  return watched;
}

test('histories over a server that is killed again and again are linearizable', async () => {
  await checkHistories({
    ...{ server: [], count: 4, everyMs: 1_200 },
    async kill(access) {
      const ended = new Promise((resolve) => server?.once('close', resolve));
      server?.kill('SIGKILL');
      await ended;
      server = startServer();
      await untilReady(access);
    },
  });
});

/** Processes that the server has started, oldest first. */
function frontsOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

test('histories over two fronts that are killed in turn are linearizable, and no watch has a gap', async () => {
  const killed: number[] = [];
  const watched = await checkHistories({
    ...{ server: ['--api-fronts', '2'], count: 5, everyMs: 700 },
    async kill(access) {
      const pid = server?.pid ?? 0;
      for (let attempt = 0; frontsOf(pid).length < 2; attempt += 1) {
        assert.ok(attempt < 400, 'a front that died is started again');
        await wait(50);
      }
      const victim = frontsOf(pid)[killed.length % 2] ?? 0;
      killed.push(victim);
      process.kill(victim, 'SIGKILL');
      await untilReady(access);
    },
  });
  assert.equal(new Set(killed).size, 5);
  assert.deepEqual(
    watched.map(({ gaps }) => gaps),
    [[], []],
  );
});
