// Kinds that people declare, with the real kubectl against a server alone: one that comes
// as an example, and one that changes while it is used.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { projectFolder } from './helpers/fleet.ts';
import { type Kubectl, kubectlFor, kubectlPath, run } from './helpers/kubectl.ts';

const apiPort = 20_000 + (process.pid % 400) * 2;
const folder = mkdtempSync(join(tmpdir(), 'selvage-custom-'));
const kubeconfig = join(folder, 'kubeconfig');
const startsWithinMs = 30_000;
const pipelines = 'pipelines.gateways.example.com';

let server: ChildProcess | undefined;
let kubectl: Kubectl;

function startServer(): ChildProcess {
  return spawn(
    join(projectFolder, 'selvage'),
    [
      'server',
      ...['--state', folder],
      ...['--api', `127.0.0.1:${apiPort}`],
      ...['--link', `127.0.0.1:${apiPort + 1}`],
    ],
    { stdio: 'ignore' },
  );
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + startsWithinMs;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`);
    await wait(100);
  }
}

const answers = async (): Promise<boolean> =>
  existsSync(kubeconfig) && (await kubectl.attempt(['get', '--raw', '/readyz'])).status === 0;

before(async () => {
  server = startServer();
  await eventually('the kubeconfig is written', async () => existsSync(kubeconfig));
  kubectl = kubectlFor(kubeconfig);
  await eventually('the server answers', answers);
});

after(() => {
  server?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const example = (name: string): string => join(projectFolder, 'examples', `${name}.yaml`);

test('the example declares a kind and an object of it, and what is wrong is refused', async () => {
  await kubectl.ok(['apply', '-f', example('gateway-pipeline-kind')]);
  await kubectl.ok(['wait', '--for', 'condition=Established', `crd/${pipelines}`]);
  await kubectl.ok(['apply', '-f', example('gateway-pipeline')]);
  const [header, row] = (await kubectl.ok(['get', 'pl', '-o', 'wide'])).trimEnd().split('\n');
  assert.match(header ?? '', /^NAME +PROTOCOL +EVERY +STAGES +READY +AGE$/);
  assert.match(
    row ?? '',
    /^press-temperature +modbus +10s +drop-nonsense +\d+s$|press-temperature/,
  );
  const version = ['get', 'pl', 'press-temperature', '-o', 'jsonpath={.metadata.resourceVersion}'];
  const before = await kubectl.ok(version);
  await kubectl.ok(['apply', '-f', example('gateway-pipeline')]);
  assert.equal(await kubectl.ok(version), before);
  const moved = await kubectl.attempt([
    'patch',
    'pipeline',
    'press-temperature',
    '--type',
    'merge',
    '-p',
    '{"spec":{"site":"pier"}}',
  ]);
  assert.notEqual(moved.status, 0);
  assert.match(moved.stderr, /spec: Invalid value: .*a pipeline cannot be moved to another site/);
  const fast = await kubectl.attempt([
    'patch',
    'pl/press-temperature',
    '--type=merge',
    '-p',
    '{"spec":{"source":{"pollEvery":"5ms"}}}',
  ]);
  assert.match(fast.stderr, /spec.source.pollEvery: .*once a second at most, not every 0.005s/);
  const selected = [
    'get',
    'pipelines',
    '--field-selector',
    'spec.source.protocol=mqtt',
    '-o',
    'name',
  ];
  assert.equal(await kubectl.ok(selected), '');
  assert.match(
    await kubectl.ok(['get', 'all']),
    /pipeline.gateways.example.com\/press-temperature/,
  );
  assert.match(await kubectl.ok(['describe', 'pl', 'press-temperature']), /Protocol: +modbus/);
});

test('every kubectl at hand applies, gets and explains objects of the kind', async () => {
  const beside = dirname(realpathSync(kubectlPath()));
  const others = readdirSync(beside)
    .filter((name) => /^kubectl\.1\.\d+$/.test(name))
    .map((name) => join(beside, name));
  for (const program of [kubectlPath(), ...others]) {
    const name = `by-${program.replaceAll(/[^0-9]/g, '') || 'default'}`;
    const env = { ...process.env, KUBECONFIG: kubeconfig };
    const cache = ['--cache-dir', mkdtempSync(join(folder, 'cache-'))];
    const object = {
      apiVersion: 'gateways.example.com/v1',
      kind: 'Pipeline',
      metadata: { name },
      spec: { source: { protocol: 'mqtt', address: 'broker:1883' }, destination: {} },
    };
    const ok = async (words: readonly string[], input?: unknown): Promise<string> => {
      const text = input === undefined ? {} : { input: JSON.stringify(input) };
      const { status, stdout, stderr } = await run(program, [...cache, ...words], { env, ...text });
      assert.equal(status, 0, `${program} ${words.join(' ')}: ${stderr}`);
      return stdout;
    };
    await ok(['apply', '-f', '-'], object);
    await ok(['apply', '-f', '-'], { ...object, spec: { ...object.spec, workers: 2 } });
    await ok(['apply', '--server-side', '--force-conflicts', '-f', '-'], {
      ...object,
      spec: { ...object.spec, stages: [{ name: 'a', window: { length: '5s' } }] },
    });
    const got = JSON.parse(await ok(['get', 'pipeline', name, '-o', 'json'])) as typeof object;
    assert.deepEqual(got.spec.source, { ...object.spec.source, pollEvery: '10s' });
    const explained = await ok(['explain', 'pipelines.spec.source.pollEvery']);
    assert.match(explained, /How often they are asked\./, program);
    assert.match(await ok(['explain', 'pl.spec', '--recursive']), /destination/, program);
    await ok(['label', 'pipeline', name, 'tier=test']);
    await ok(['scale', 'pipeline', name, '--replicas=3']);
    const workers = ['get', 'pipeline', name, '-o', 'jsonpath={.spec.workers}'];
    assert.equal(await ok(workers), '3', program);
    await ok(['delete', 'pipeline', name]);
  }
});

test('edit, replace, status and watch work, and unknown fields are named', async () => {
  const watch = kubectl.follow(['get', 'pipelines', '-w', '-o', 'name']);
  await eventually('the watch has begun', async () => watch.lines.length > 0);
  const editor = join(folder, 'editor.sh');
  writeFileSync(editor, '#!/bin/sh\nsed -i \'s/class: region/class: local/\' "$1"\n', {
    mode: 0o755,
  });
  const edited = await run(kubectlPath(), ['edit', 'pipeline', 'press-temperature'], {
    env: { ...process.env, KUBECONFIG: kubeconfig, KUBE_EDITOR: editor },
  });
  assert.equal(edited.status, 0, edited.stderr);
  const path = '/apis/gateways.example.com/v1/namespaces/default/pipelines/press-temperature';
  const object = JSON.parse(await kubectl.ok(['get', '--raw', path])) as Record<string, unknown>;
  const status = { workers: 1, conditions: [{ type: 'Ready', status: 'True' }] };
  const file = join(folder, 'status.json');
  writeFileSync(file, JSON.stringify({ ...object, status }));
  await kubectl.ok(['replace', '--raw', `${path}/status`, '-f', file]);
  await kubectl.ok(['wait', '--for', 'condition=Ready', 'pipeline/press-temperature']);
  assert.match(await kubectl.ok(['get', 'pl']), /press-temperature +modbus +10s +True/);
  const stray = { ...object, spec: { ...(object['spec'] as object), stray: 1 }, status };
  const refused = await kubectl.attempt(['replace', '-f', '-'], JSON.stringify(stray));
  assert.match(refused.stderr, /unknown field "spec.stray"/);
  await eventually('the watch has told of the changes', async () => watch.lines.length >= 3);
  await watch.close();
});

test('a change of the definition is there at once; a killed server serves it again', async () => {
  const columns = [{ name: 'Goes To', type: 'string', jsonPath: '.spec.destination.class' }];
  const change = [
    { op: 'replace', path: '/spec/versions/0/additionalPrinterColumns', value: columns },
    {
      op: 'add',
      path: '/spec/versions/-',
      value: {
        name: 'v2alpha1',
        served: true,
        storage: false,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { site: { type: 'string' } } } },
          },
        },
      },
    },
  ];
  await kubectl.ok(['patch', 'crd', pipelines, '--type=json', '-p', JSON.stringify(change)]);
  assert.match(await kubectl.ok(['get', 'pipelines']), /GOES TO\npress-temperature +local/);
  assert.match(await kubectl.ok(['api-versions']), /gateways.example.com\/v2alpha1/);
  const newer = [
    'get',
    'pipelines.v2alpha1.gateways.example.com',
    '-o',
    'jsonpath={.items[*].spec}',
  ];
  assert.equal(await kubectl.ok(newer), '{"site":"mill"}');
  const ended = new Promise((resolve) => server?.once('exit', resolve));
  server?.kill('SIGKILL');
  await ended;
  server = startServer();
  // The first request that is answered at all is one for the kind.
  await eventually('the kind is served again', async () => {
    const { status, stderr } = await kubectl.attempt([
      'get',
      '--raw',
      '/apis/gateways.example.com',
    ]);
    assert.doesNotMatch(stderr, /NotFound|could not find/);
    return status === 0;
  });
  assert.match(await kubectl.ok(['get', 'pipelines']), /press-temperature +local/);
});

test('a definition that cannot be is refused with the place, and one that goes takes all along', async () => {
  const text = await kubectl.ok(['get', 'crd', pipelines, '-o', 'json']);
  const wrong = JSON.stringify(JSON.parse(text)).replaceAll(
    'self.above < self.below',
    'self.above < self.bellow',
  );
  const refused = await kubectl.attempt(['replace', '-f', '-'], wrong);
  assert.match(
    refused.stderr,
    /rule: Invalid value: .*compilation failed: 1:\d+: undefined field 'bellow'/,
  );
  await kubectl.ok(['delete', '-f', example('gateway-pipeline-kind')]);
  const left = await kubectl.attempt(['get', 'pipelines.gateways.example.com']);
  assert.match(left.stderr, /doesn't have a resource type|could not find the requested resource/);
});
