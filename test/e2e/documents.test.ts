// The commands of README.md and of docs/operations/audit.md and backup.md as they stand
// there, run in order on one fleet by somebody who sits in the checkout.
import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { blocksOf, commandsOf } from './helpers/documents.ts';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { type CommandResult, kubectlPath, run } from './helpers/kubectl.ts';

let fleet: TestFleet;
/** A checkout with its `.selvage`, as the documents expect it. */
let folder: string;

before(async () => {
  fleet = await startFleet(['--heartbeat', '500ms']);
  folder = mkdtempSync(join(tmpdir(), 'selvage-documents-'));
  for (const name of ['selvage', 'examples', 'package.json', 'src', 'node_modules']) {
    symlinkSync(join(projectFolder, name), join(folder, name));
  }
  symlinkSync(fleet.stateFolder, join(folder, '.selvage'));
  kubectlPath();
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

function shell(script: string): Promise<CommandResult> {
  return run('sh', ['-e', '-c', script], {
    cwd: folder,
    env: { ...process.env, KUBECONFIG: '.selvage/kubeconfig' },
  });
}

async function ok(script: string): Promise<string> {
  const { status, stdout, stderr } = await shell(script);
  assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
  return stdout;
}

function serverIsBack(): Promise<true> {
  return eventually('the server is back', 30_000, async () =>
    (await shell('kubectl get --raw /readyz')).status === 0 ? true : undefined,
  );
}

interface Pods {
  items: { metadata: { name: string }; status: { podIP?: string; phase?: string } }[];
}

async function addressOfPod(): Promise<string> {
  return await eventually('a pod of the example answers', 30_000, async () => {
    const { items } = await fleet.kubectl.json<Pods>([
      'get',
      'pods',
      '-l',
      'app=edge-microservice',
    ]);
    const address = items.find(({ status }) => status.phase === 'Running')?.status.podIP;
    if (address === undefined) return undefined;
    await fetch(`http://${address}:8080/`);
    return address;
  });
}

test('the first lines of README.md are what CI runs, and what the fleets of these tests are', () => {
  const [start, tests] = blocksOf('README.md');
  assert.equal(start?.text, 'npm ci && npm start\n');
  assert.equal(tests?.text, 'npm ci && npm test\n');
  const { scripts } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  assert.equal(scripts['start'], './selvage up');
  const ci = readFileSync(join(projectFolder, '.ci/run'), 'utf8');
  assert.match(ci, /^npm ci$/m);
  assert.match(ci, /^npm test$/m);
});

test('the five minutes of README.md go as they are told', async () => {
  const commands = blocksOf('README.md')
    .filter(({ language }) => language === 'console')
    .flatMap(commandsOf);
  assert.ok(commands.length >= 8, 'the tour is there');
  for (const { command, output } of commands) {
    // What differs from machine to machine, or would take minutes.
    const there = command.replace('1..50', '1..2');
    const script = there.startsWith('curl http:')
      ? there.replace(/127(?:\.\d+){3}/, await addressOfPod())
      : there;
    const printed = await ok(script);
    // A table has the columns that the document shows; a sentence is the sentence.
    const [shown = ''] = output;
    const [first = ''] = printed.split('\n');
    const shape = (line: string): string =>
      line
        .replace(/ {2,}/g, '  ')
        .replace(/\d+/g, 'N')
        .replace(/"[^"]*"(?=[,}])/g, '"…"');
    if (shown !== '') assert.equal(shape(first), shape(shown), command);
  }
  await ok('kubectl delete -f examples/edge-microservice/deployment.yaml');
});

test('docs/operations/audit.md: what was asked is listed, verified, and an edit is named', async () => {
  const [first, second] = blocksOf('docs/operations/audit.md');
  const commands = (first?.text ?? '').trimEnd().split('\n');
  assert.equal(commands.length, 4);
  const [all = '', filtered = '', refused = '', verify = ''] = commands;
  await ok('kubectl create secret generic hidden --from-literal=word=hunter2-horse-staple');
  // A crash takes no line that was on disk, and the chain goes on over it.
  await eventually('the request is in the log', 20_000, async () =>
    /create +secrets default hidden +201/.test(await ok(all)) ? true : undefined,
  );
  await fleet.selvage(['lab', 'kill', 'server']);
  await fleet.selvage(['lab', 'start', 'server']);
  await serverIsBack();
  assert.match(await ok(filtered), /admin +create +secrets default hidden +201 +allow +127.0.0.1/);
  assert.deepEqual(JSON.parse(await ok(refused)), []);
  const head = /^head {2}(\d+:[0-9a-f]{64})$/m.exec(await ok(verify))?.[1] ?? '';
  assert.match(await ok(`HEAD=${head}\n${second?.text ?? ''}`), /lines in \d+ segments? fit/);
  assert.match(await ok(all), /start +opened after a crash/);

  const auditFolder = join(fleet.stateFolder, 'server/audit');
  const files = readdirSync(auditFolder).filter((name) => name.startsWith('audit-'));
  const text = files.map((name) => readFileSync(join(auditFolder, name), 'utf8')).join('');
  assert.equal(text.includes('hunter2') || text.includes(btoa('hunter2-horse-staple')), false);
  const [name = ''] = files;
  await fleet.selvage(['lab', 'stop', 'server']);
  const lines = readFileSync(join(auditFolder, name), 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"name":"hidden"'));
  const kept = lines[at] ?? '';
  const write = (line: string): void =>
    writeFileSync(join(auditFolder, name), lines.with(at, line).join('\n'));
  write(kept.replace('"username":"admin"', '"username":"nobody"'));
  const edited = await shell(verify);
  assert.equal(edited.status, 1);
  assert.match(
    edited.stderr,
    new RegExp(`${name}:${at + 1}: line ${at + 1} of the log was changed`),
  );
  write(kept);
  await fleet.selvage(['lab', 'start', 'server']);
  await serverIsBack();
});

test('docs/operations/backup.md: a backup is taken, verified and put back', async () => {
  const path = 'docs/operations/backup.md';
  const block = (words: string): string => {
    const found = blocksOf(path).find(({ text }) => text.includes(words));
    assert.ok(found !== undefined, `${path} has a block with ${words}`);
    return found.text;
  };
  await ok('kubectl create configmap kept --from-literal=a=b');
  await ok(block('./selvage backup'));
  // What nodes have seen and the backup has not.
  await ok('kubectl run later --image=edge-service-image:latest');
  await ok('kubectl wait --for=condition=Ready pod/later --timeout=60s');
  await ok(block('--dry-run'));
  await ok(block('./selvage restore --state .selvage/server --input server.backup --force'));
  await eventually('the restored server waits for its operator', 30_000, async () => {
    const { stdout } = await shell('kubectl get --raw /readyz || true; kubectl get configmap kept');
    return /^kept/m.test(stdout) ? true : undefined;
  });
  // Three words to choose from. Once one has chosen, the last finds nothing left to settle;
  // backup.test.ts has its own fleet for that choice.
  const [preview = '', adopt = '', impose = ''] = block('restore adopt').trimEnd().split('\n');
  for (const choice of [preview, adopt]) {
    await eventually(choice, 60_000, async () => {
      const { status, stdout, stderr } = await shell(choice);
      if (status !== 0) throw new Error(`${stdout}${stderr}`);
      return true;
    });
  }
  assert.match((await shell(impose)).stderr, /nothing is to be settled/);
  await ok('kubectl get configmap/kept pod/later');
});
