// Each state folder that an earlier version has left is opened by this one: what it
// held is there, under the same uids, the node joins by its old key, its pods run.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';

const fixtures = join(projectFolder, 'test/fixtures');
const states = readdirSync(fixtures).filter((name) => /^state-.+\.tar\.gz$/.test(name));
const kinds = 'namespaces,configmaps,secrets,deployments,replicasets,pods,nodes,regions,sites';
const podNetwork = '127.58';

interface List {
  items: { kind: string; metadata: { name: string; namespace?: string; uid: string } }[];
}

function unpack(state: string, stateFolder: string): void {
  mkdirSync(stateFolder, { recursive: true });
  execFileSync('tar', ['--extract', '--file', join(fixtures, state), '--directory', stateFolder]);
}

/** The fleet was made on ports that may be taken here: it is told others, as an operator would. */
function moveToPorts(stateFolder: string, ports: { readonly api: number; readonly link: number }) {
  const edit = (path: string, change: (file: Record<string, Record<string, unknown>>) => void) => {
    const file = JSON.parse(readFileSync(join(stateFolder, path), 'utf8')) as never;
    change(file);
    writeFileSync(join(stateFolder, path), JSON.stringify(file));
  };
  edit('fleet.json', (file) => Object.assign(file, { apiPort: ports.api, linkPort: ports.link }));
  edit('nodes/harbour-1/identity/connection.json', ({ hubAddress, apiAddress }) => {
    assert.ok(hubAddress !== undefined && apiAddress !== undefined);
    hubAddress['port'] = ports.link;
    apiAddress['port'] = ports.api;
  });
}

const fleets: TestFleet[] = [];
after(async () => {
  for (const fleet of fleets) await fleet.remove();
});

test('there is at least one state folder to open', () => {
  assert.ok(states.length > 0);
});

for (const state of states) {
  test(`${state} is opened, and nothing in it is lost`, async () => {
    const fleet = await startFleet(['--pod-network', podNetwork], (stateFolder, ports) => {
      unpack(state, stateFolder);
      moveToPorts(stateFolder, ports);
    });
    fleets.push(fleet);
    const { kubectl, stateFolder } = fleet;
    const { items } = await kubectl.json<List>(['get', kinds, '--all-namespaces']);
    const now = items.map(({ kind, metadata }) =>
      [kind, metadata.namespace ?? '', metadata.name, metadata.uid].join(' '),
    );
    const before = JSON.parse(readFileSync(join(stateFolder, 'holdings.json'), 'utf8')) as string[];
    assert.deepEqual(
      before.filter((line) => !now.includes(line)),
      [],
      'everything that there was is there',
    );
    assert.ok(!now.some((line) => line.includes('deleted-again')), 'what was deleted stays so');
    const password = await kubectl.ok([
      ...['get', 'secret', 'password', '-n', 'shop', '-o', 'jsonpath={.data.password}'],
    ]);
    assert.equal(Buffer.from(password, 'base64').toString(), 'correct horse');

    await kubectl.ok([...['rollout', 'status', 'deployment/edge-microservice', '--timeout=60s']]);
    await eventually('the old pods answer', 60_000, async () => {
      const pods = await kubectl.json<{
        items: { metadata: { uid: string }; status: { podIP?: string; phase?: string } }[];
      }>(['get', 'pods']);
      const running = pods.items.filter(({ status }) => status.phase === 'Running');
      const own = running.filter(({ metadata }) =>
        before.some((line) => line.startsWith('Pod ') && line.endsWith(metadata.uid)),
      );
      if (own.length !== 2) return undefined;
      for (const { status } of own) assert.ok((await fetch(`http://${status.podIP}:8080/`)).ok);
      return true;
    });
    // And it goes on from there: what this version writes comes after what is there.
    await kubectl.ok(['scale', 'deployment/edge-microservice', '--replicas=1']);
    await kubectl.ok(['rollout', 'status', 'deployment/edge-microservice', '--timeout=60s']);
    assert.equal(await fleet.interrupt(), 0, fleet.output());
  });
}

test('a folder of a newer form is refused by server and agent, and left as it is', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-newer-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const note = '{"formatVersion": 99, "writtenBy": "9.9.9"}';
  writeFileSync(join(folder, 'format.json'), note);
  for (const words of [['server'], ['agent', '--name', 'one']]) {
    const { status, stderr } = spawnSync(
      join(projectFolder, 'selvage'),
      [...words, '--state', folder],
      { encoding: 'utf8', timeout: 30_000 },
    );
    assert.equal(status, 1, stderr);
    assert.match(stderr, /written by selvage 9\.9\.9 in form 99.*Nothing was changed/);
    assert.equal(readFileSync(join(folder, 'format.json'), 'utf8'), note);
    assert.deepEqual(readdirSync(folder).sort(), ['format.json', 'lock']);
  }
});
