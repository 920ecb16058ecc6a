// What an operator sees and asks: the fleet live, events, what to mend, metrics in the
// real Prometheus, access files and completion.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { parse } from 'yaml';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { type CommandResult, run } from './helpers/kubectl.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-operations-'));
const program = join(projectFolder, 'selvage');
let fleet: TestFleet;

before(async () => {
  fleet = await startFleet(['--nodes', '2', '--heartbeat', '500ms']);
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

function selvage(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  return run(program, words, { cwd: projectFolder, env: { ...process.env, ...env } });
}

/** Starts a command that stays, and collects what it prints. */
function follow(words: readonly string[]): {
  text: () => string;
  end: () => Promise<number | null>;
} {
  const child = spawn(program, words, { cwd: projectFolder, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const collect = (chunk: Buffer): void => {
    text += chunk.toString('utf8');
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    text: () => text,
    end() {
      child.kill('SIGINT');
      return ended;
    },
  };
}

const brokenPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'lost-image', namespace: 'default' },
  spec: { containers: [{ name: 'main', image: 'nobody-pushed-it:1' }] },
};

test('what happens is told live and can be read afterwards, about one object alone', async () => {
  const access = ['--kubeconfig', fleet.kubeconfig];
  const startedAt = new Date().toISOString();
  const live = follow(['status', '--watch', '--state', fleet.stateFolder]);
  const followed = follow(['events', '--watch', ...access]);
  await eventually('the nodes are shown', 15_000, async () =>
    /node\/mill-1 {2}Ready/.test(live.text()) && / {2}event /.test(live.text()) ? true : undefined,
  );
  const earlier = [...live.text().matchAll(/^(\S+) {2}event /gmu)].map(([, at]) => at ?? '');
  assert.ok((earlier[0] ?? startedAt) < startedAt, 'with the time of what happened');
  assert.deepEqual(earlier, earlier.toSorted());
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(brokenPod));
  await eventually('the pod and its trouble are shown', 20_000, async () =>
    live.text().includes('pod/default/lost-image') &&
    /lost-image.*nobody-pushed-it/.test(followed.text())
      ? true
      : undefined,
  );
  assert.equal(await live.end(), 0);
  assert.equal(await followed.end(), 0);

  const about = await selvage(['events', '--for', 'pod/lost-image', '-o', 'json', ...access]);
  assert.equal(about.status, 0, about.stderr);
  const events = JSON.parse(about.stdout) as { involvedObject: { name: string }; type: string }[];
  assert.ok(events.length > 0);
  assert.ok(events.every(({ involvedObject }) => involvedObject.name === 'lost-image'));
  const warnings = await selvage(['events', '--warnings', ...access]);
  assert.match(warnings.stdout, /^AGE +TYPE +REASON +OBJECT +MESSAGE\n/);
  assert.doesNotMatch(warnings.stdout, /NodeReady/);
  const wrong = await selvage(['events', '--for', 'lost-image', ...access]);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /KIND\/NAME/);
});

test('doctor finds nothing wrong with a fleet that is well, and says what to mend in one that is not', async () => {
  const named = ['doctor', '--state', fleet.stateFolder, '--kubeconfig', fleet.kubeconfig];
  const well = await selvage([...named, '-o', 'json']);
  const report = JSON.parse(well.stdout) as {
    failed: number;
    checks: { check: string; outcome: string; message: string }[];
  };
  assert.equal(well.status, 0, well.stdout);
  assert.equal(report.failed, 0);
  const nodes = report.checks.find(({ check }) => check === 'nodes');
  assert.deepEqual([nodes?.outcome, nodes?.message], ['ok', '2 ready']);

  await fleet.selvage(['lab', 'kill', 'mill-1']);
  await eventually('the node is lost', 20_000, async () => {
    const { status, stdout } = await selvage(named);
    if (status === 0) return undefined;
    assert.equal(status, 1);
    assert.match(stdout, /not running: agent\/mill-1\n +→ selvage lab start mill-1/);
    return /FAIL {2}nodes: not ready: mill-1/.test(stdout) ? true : undefined;
  });
  await fleet.selvage(['lab', 'start', 'mill-1']);

  await fleet.selvage(['lab', 'kill', 'server']);
  const silent = await selvage(named);
  assert.equal(silent.status, 1);
  assert.match(silent.stdout, /FAIL {2}server: .*does not answer[^]*selvage lab start server/);
  await fleet.selvage(['lab', 'start', 'server']);
  await eventually('the fleet is well again', 30_000, async () =>
    (await selvage(named)).status === 0 ? true : undefined,
  );
});

test('a revocation is first shown, and then nothing has happened', async () => {
  const words = ['node', 'revoke', 'mill-1', '--dry-run', '--kubeconfig', fleet.kubeconfig];
  const { status, stdout } = await selvage(words);
  assert.equal(status, 0);
  assert.match(stdout, /would revoke mill-1 for ever[^]*Nothing was changed\./);
  const revoked = 'jsonpath={.metadata.annotations.selvage\\.dev/revoked}';
  assert.equal(await fleet.kubectl.ok(['get', 'node', 'mill-1', '-o', revoked]), '');
  const unknown = await selvage(words.with(2, 'nobody-1'));
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /node nobody-1 cannot be revoked: .*not found/);
});

test('of a node whose key is damaged doctor names the file and the commands that bring it back', async () => {
  const named = ['doctor', '--state', fleet.stateFolder, '--kubeconfig', fleet.kubeconfig];
  await fleet.selvage(['lab', 'stop', 'mill-1']);
  const key = join(fleet.stateFolder, 'nodes/mill-1/identity/key.pem');
  const whole = readFileSync(key, 'utf8');
  writeFileSync(key, whole.replace('BEGIN', 'BEG1N'));
  const { status, stdout } = await selvage(named);
  assert.equal(status, 1);
  const said = /FAIL {2}identities here: (.*) is damaged: .*\n +→ (.*)\n/.exec(stdout);
  assert.equal(said?.[1], key, stdout);
  const commands = said?.[2] ?? '';
  assert.match(commands, /^mv .* && kubectl .* delete node mill-1 && .* join-token .* lab start/);
  const mended = await run('sh', ['-c', commands], { cwd: projectFolder });
  assert.equal(mended.status, 0, mended.stderr);
  await eventually('the fleet is well again', 60_000, async () => {
    const now = await selvage(named);
    return now.status === 0 && /nodes: 2 ready/.test(now.stdout) ? true : undefined;
  });
  assert.notEqual(readFileSync(key, 'utf8'), whole, 'it has a new key');
});

test('a kubeconfig is merged for its owner alone, beside what was there', async () => {
  const home = mkdtempSync(join(folder, 'home-'));
  const target = join(home, 'config');
  writeFileSync(
    target,
    'apiVersion: v1\nkind: Config\ncurrent-context: work\ncontexts: [{name: work, context: {cluster: w, user: w}}]\n',
  );
  const words = ['kubeconfig', '--state', fleet.stateFolder, '--merge', target, '--name', 'lab'];
  const dry = await selvage([...words, '--dry-run']);
  assert.match(dry.stdout, /client-key-data: \(left out\)/);
  assert.doesNotMatch(readFileSync(target, 'utf8'), /lab/);
  const merged = await selvage(words);
  assert.equal(merged.status, 0, merged.stderr);
  assert.equal(statSync(target).mode & 0o777, 0o600);
  const config = parse(readFileSync(target, 'utf8')) as Record<string, unknown>;
  assert.equal(config['current-context'], 'work');
  const nodes = await run('kubectl', ['--kubeconfig', target, '--context', 'lab', 'get', 'nodes']);
  assert.match(nodes.stdout, /mill-1/);
});

test('the shell completes commands, choices and names of the fleet', async () => {
  const here = mkdtempSync(join(folder, 'completion-'));
  const script = `
    cd ${here}
    source <(${program} completion bash)
    try() { COMP_WORDS=(${program} "$@"); COMP_CWORD=$#; _selvage; echo "\${COMPREPLY[*]}"; }
    try la
    try status --output ''
    try lab ki
  `;
  const { stdout } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  assert.deepEqual(stdout.trim().split('\n'), ['lab', 'text json yaml', 'kill']);
});

test(
  "Debian's Prometheus scrapes the server and an agent",
  { timeout: 120_000 },
  async (context) => {
    const prometheus = prometheusProgram();
    if (prometheus === undefined) {
      process.stderr.write('SKIPPED: no prometheus, and apt-get download did not give one\n');
      context.skip('there is no prometheus to be had');
      return;
    }
    const pem = (field: string, name: string): string => {
      const config = readFileSync(fleet.kubeconfig, 'utf8');
      const value = new RegExp(`${field}: (\\S+)`).exec(config)?.[1] ?? '';
      const path = join(folder, name);
      writeFileSync(path, Buffer.from(value, 'base64'), { mode: 0o600 });
      return path;
    };
    const files = {
      ca_file: pem('certificate-authority-data', 'ca.pem'),
      cert_file: pem('client-certificate-data', 'client.pem'),
      key_file: pem('client-key-data', 'client.key'),
    };
    const agentPort = await freePort();
    const agent = await startAgent('watched-1', agentPort);
    const config = {
      global: { scrape_interval: '1s' },
      scrape_configs: [
        {
          job_name: 'selvage-server',
          scheme: 'https',
          tls_config: files,
          static_configs: [{ targets: [`127.0.0.1:${fleet.apiPort}`] }],
        },
        {
          job_name: 'selvage-agent',
          scheme: 'https',
          tls_config: { ...files, server_name: 'watched-1.node.selvage.internal' },
          static_configs: [{ targets: [`127.0.0.1:${agentPort}`] }],
        },
      ],
    };
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
    const port = await freePort();
    const child = spawn(
      prometheus,
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'tsdb')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: 'ignore' },
    );
    try {
      const value = async (query: string): Promise<number | undefined> => {
        const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
        const answer = (await (await fetch(url)).json()) as {
          data: { result: { value: [number, string] }[] };
        };
        const found = answer.data.result[0]?.value[1];
        return found === undefined ? undefined : Number(found);
      };
      await eventually('the target is up', 30_000, async () =>
        (await value('up{job="selvage-server"}')) === 1 ? true : undefined,
      );
      await eventually('the agent is up, and linked', 30_000, async () =>
        (await value('selvage_agent_linked')) === 1 ? true : undefined,
      );
      assert.equal(await value('selvage_store_objects{resource="nodes"}'), 3);
      assert.equal(await value('selvage_store_latched{store="main"}'), 0);
      assert.equal(await value('selvage_hub_connected_nodes'), 3);
      let written = 0;
      await eventually('a rate can be computed', 20_000, async () => {
        // A fleet in which nothing happens writes nothing.
        written += 1;
        await fleet.kubectl.ok(['annotate', 'namespace', 'default', '--overwrite', `n=${written}`]);
        const rate = await value('sum(rate(selvage_disk_sync_duration_seconds_count[10s]))');
        return rate !== undefined && rate > 0 ? true : undefined;
      });
    } finally {
      await ended(child);
      await ended(agent);
    }
  },
);

/** A third node of the fleet, whose agent serves its metrics. */
async function startAgent(name: string, metricsPort: number): Promise<ChildProcess> {
  const joinFile = join(folder, 'join.json');
  const token = ['join-token', '--site', 'mill', '--file', joinFile];
  const { status, stderr } = await selvage([...token, '--kubeconfig', fleet.kubeconfig]);
  assert.equal(status, 0, stderr);
  return spawn(
    program,
    [
      ...['agent', '--state', join(folder, name), '--name', name],
      ...['--join-file', joinFile, '--metrics', `127.0.0.1:${metricsPort}`],
    ],
    { cwd: projectFolder, stdio: 'ignore' },
  );
}

async function ended(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await Promise.race([closed, wait(5_000, undefined, { ref: false })]);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** On PATH, or out of Debian's package, unpacked and not installed: nothing is started by it. */
function prometheusProgram(): string | undefined {
  const found = spawnSync('sh', ['-c', 'command -v prometheus'], { encoding: 'utf8' });
  if (found.status === 0) return found.stdout.trim();
  const target = join(tmpdir(), 'selvage-test-prometheus');
  const unpacked = join(target, 'usr/bin/prometheus');
  if (existsSync(unpacked)) return unpacked;
  const fetching = `set -e; mkdir -p ${target}; cd ${target}; apt-get download -q prometheus || { apt-get update -q; apt-get download -q prometheus; }; dpkg -x prometheus_*.deb .`;
  spawnSync('sh', ['-c', fetching], { stdio: 'ignore' });
  return existsSync(unpacked) ? unpacked : undefined;
}
