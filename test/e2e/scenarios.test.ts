// The scenarios of test/scenarios with the kubectl on PATH, against one fleet: each line of
// what is printed is as it stands there. `npm run scenarios -- --rewrite` writes down
// what is printed now; the difference is for review. Where several versions of kubectl lie
// beside each other, the basic verbs are tried with each.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { kubectlPath, run } from './helpers/kubectl.ts';
import { runScenario } from './helpers/scenario.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-scenarios-'));
const rewrite = process.env['SELVAGE_SCENARIOS_REWRITE'] === '1';
const wanted = (process.env['SELVAGE_SCENARIOS'] ?? '').split(' ').filter((name) => name !== '');
const scenarios = globSync('test/scenarios/*.txt', { cwd: projectFolder })
  .sort()
  .filter((path) => wanted.length === 0 || wanted.includes(basename(path, '.txt')));
/** At a time: one waits for the fleet most of the time. */
const lanes = 2;

let fleet: TestFleet;

before(async () => {
  fleet = await startFleet(['--heartbeat', '500ms']);
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('there are scenarios', () => {
  assert.ok(scenarios.length > 0, `no scenario is called ${wanted.join(', ')}`);
});

async function holds(path: string, kubectl: string, place: string): Promise<void> {
  const own = join(folder, place);
  mkdirSync(own);
  const { actual, expected } = await runScenario(join(projectFolder, path), {
    kubeconfig: fleet.kubeconfig,
    folder: own,
    kubectl,
    rewrite,
  });
  if (rewrite || actual === expected) return;
  writeFileSync(join(own, 'actual.txt'), actual);
  const words = ['-u', '--label', 'expected', '--label', 'printed'];
  const { stdout } = await run('diff', [
    ...words,
    join(projectFolder, path),
    join(own, 'actual.txt'),
  ]);
  assert.fail(`${path} with ${kubectl}:\n${stdout}`);
}

test('scenarios', { concurrency: lanes }, async (t) => {
  const all = scenarios.map((path) =>
    t.test(path, () => holds(path, kubectlPath(), basename(path, '.txt'))),
  );
  await Promise.all(all);
});

/** Versions from 1.29 on that lie beside the kubectl on PATH, each with its own program. */
function otherVersions(): readonly string[] {
  const beside = dirname(realpathSync(kubectlPath()));
  return readdirSync(beside)
    .filter((name) => Number(/^kubectl\.1\.(\d+)$/.exec(name)?.[1] ?? 0) >= 29)
    .sort()
    .map((name) => join(beside, name));
}

/** Debian's own, the oldest that is promised, unpacked and not installed; undefined where it cannot be had. */
function debianKubectl(): string | undefined {
  const place = join(folder, 'debian');
  mkdirSync(place);
  const words =
    'apt-get download -q kubernetes-client || { apt-get update -q && apt-get download -q kubernetes-client; }';
  const { status } = spawnSync('sh', ['-c', `${words} && dpkg -x ./*.deb .`], {
    cwd: place,
    stdio: 'ignore',
  });
  if (status === 0) return join(place, 'usr/bin/kubectl');
  process.stderr.write("Debian's kubernetes-client cannot be downloaded: SKIPPED with it\n");
  return undefined;
}

const basics = 'test/scenarios/basic-verbs.txt';
const oldest = 'test/scenarios/oldest-client.txt';
const versions = rewrite || !scenarios.includes(basics) ? [] : otherVersions();
if (versions.length === 0) {
  process.stderr.write('no other versions of kubectl lie beside the one on PATH: none is tried\n');
}
for (const kubectl of versions) {
  test(`${basics} with ${basename(kubectl)}`, () => holds(basics, kubectl, basename(kubectl)));
}

const debian = rewrite || !scenarios.includes(oldest) ? undefined : debianKubectl();
if (debian !== undefined) {
  test(`${oldest} with Debian's kubectl`, () => holds(oldest, debian, 'debian-kubectl'));
}
