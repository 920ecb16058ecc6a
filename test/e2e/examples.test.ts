// Every manifest under examples/ is tried by a test: which one is written here, and that
// it still does so is read in that test. A new example without a test fails this one.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const projectFolder = join(import.meta.dirname, '..', '..');
const manifestsMin = 12;

/** By manifest: the file beside this one that applies it, looks at what it does, and deletes it. */
const triedIn: Readonly<Record<string, string>> = {
  'autoscaled.yaml': 'stateful.test.ts',
  'chosen-nodes.yaml': 'examples-volumes.test.ts',
  'cron-report.yaml': 'batch.test.ts',
  'daemon-per-site.yaml': 'services.test.ts',
  'edge-microservice/deployment.yaml': 'wasm.test.ts',
  'fair-share.yaml': 'admission.test.ts',
  'gateway-pipeline-kind.yaml': 'custom-resources.test.ts',
  'gateway-pipeline.yaml': 'custom-resources.test.ts',
  'indexed-job.yaml': 'batch.test.ts',
  'nearest-service.yaml': 'services.test.ts',
  'node-files.yaml': 'examples-volumes.test.ts',
  'prepared-site.yaml': 'examples-volumes.test.ts',
  'shared-volume.yaml': 'examples-volumes.test.ts',
  'sidecar-and-probes.yaml': 'examples-volumes.test.ts',
  'stateful-counter.yaml': 'examples-volumes.test.ts',
  'stateful-ledger.yaml': 'stateful.test.ts',
  'steady-service.yaml': 'admission.test.ts',
  'web-with-config.yaml': 'examples-volumes.test.ts',
};

function manifests(): string[] {
  const found = readdirSync(join(projectFolder, 'examples'), {
    recursive: true,
    encoding: 'utf8',
  });
  return found.filter((name) => /\.(?:yaml|yml)$/u.test(name)).toSorted();
}

const read = (...path: string[]): string => readFileSync(join(projectFolder, ...path), 'utf8');

test('each manifest of the examples is named by the test that tries it, and no other is', () => {
  assert.deepEqual(Object.keys(triedIn).toSorted(), manifests());
  assert.ok(manifests().length >= manifestsMin, `${manifests().length} manifests`);
  for (const [manifest, file] of Object.entries(triedIn)) {
    const text = read('test', 'e2e', file);
    const name = manifest.replace(/\.yaml$/u, '');
    const names = [`'${name}'`, `'${manifest}'`, `examples/${manifest}'`];
    assert.ok(
      names.some((quoted) => text.includes(quoted)),
      `${file} does not name ${manifest}`,
    );
    const verbs = [/'apply'/u, /'delete'/u, /assert\.|eventually\(/u];
    for (const verb of verbs) assert.match(text, verb, `${file} applies, checks and deletes`);
  }
});

test('each manifest says what it shows, and how to try it with kubectl', () => {
  for (const manifest of manifests()) {
    const text = read('examples', manifest);
    if (manifest.startsWith('edge-microservice/')) {
      assert.match(read('README.md'), new RegExp(`kubectl apply -f \\S*examples/${manifest}`, 'u'));
      continue;
    }
    const head = /^(?:#.*\n)+/u.exec(text)?.[0] ?? '';
    assert.match(head, /^# \S/u, `${manifest} begins with what it is`);
    assert.match(head, /^# Shows: /mu, manifest);
    assert.ok(head.includes(`kubectl apply -f examples/${manifest}`), manifest);
  }
});
