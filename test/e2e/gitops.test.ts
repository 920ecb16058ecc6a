// A folder of manifests as the truth, and a loop that holds a server to it with kubectl: beside
// it a manager that scales, and somebody who changes what is not theirs.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, projectFolder } from './helpers/fleet.ts';
import {
  type CommandResult,
  type Kubectl,
  kubectlFor,
  kubectlPath,
  run,
} from './helpers/kubectl.ts';

const apiPort = 21_100 + (process.pid % 400) * 2;
const folder = mkdtempSync(join(tmpdir(), 'selvage-gitops-'));
const kubeconfig = join(folder, 'kubeconfig');
const manifests = join(folder, 'manifests');
const namespace = 'shop';
const intervalMs = 1_000;
const waitMs = 30_000;
let server: ChildProcess;
let kubectl: Kubectl;
let loop: Loop;

const environment = { ...process.env, KUBECONFIG: kubeconfig, KUBECTL_APPLYSET: 'true' };

/** What one turn of the loop was told. */
interface Turn {
  readonly number: number;
  readonly result: CommandResult;
}

/**
 * Applies the folder on the server as `gitops`, once a second, and prunes: by an apply set
 * where this kubectl has them, else by the label that all of its objects carry.
 */
class Loop {
  readonly hasApplySets: boolean;
  #turns = 0;
  #last: Turn | undefined;
  #isForcing = false;
  #isOver = false;
  #running: Promise<void> | undefined;

  constructor(hasApplySets: boolean) {
    this.hasApplySets = hasApplySets;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** From the next turn on it takes fields that others own. */
  force(isForcing: boolean): void {
    this.#isForcing = isForcing;
  }

  /** The result of a turn that began after this was called. */
  async nextTurn(): Promise<CommandResult> {
    const after = this.#turns;
    const turn = await eventually('a turn of the loop', waitMs, async () =>
      this.#last !== undefined && this.#last.number > after ? this.#last : undefined,
    );
    return turn.result;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.#turns += 1;
      const number = this.#turns;
      const nextMs = performance.now() + intervalMs;
      this.#last = { number, result: await this.#apply() };
      await wait(Math.max(0, nextMs - performance.now()));
    }
  }

  async #apply(): Promise<CommandResult> {
    const words = ['apply', '--server-side', '--field-manager=gitops', '-n', namespace];
    words.push('-f', manifests);
    if (this.#isForcing) words.push('--force-conflicts');
    if (this.hasApplySets) words.push('--prune', '--applyset=configmaps/gitops');
    const applied = await run(kubectlPath(), words, { env: environment });
    return this.hasApplySets || applied.status !== 0 ? applied : this.#pruneByLabel();
  }

  async #pruneByLabel(): Promise<CommandResult> {
    const kinds = 'deployments,configmaps';
    const words = ['get', kinds, '-n', namespace, '-l', 'owner=gitops', '-o', 'name'];
    const found = await run(kubectlPath(), words, { env: environment });
    const wanted = new Set(readdirSync(manifests).map((file) => file.replace('.json', '')));
    const gone = found.stdout
      .split('\n')
      .filter((name) => name !== '' && !wanted.has(name.split('/')[1] ?? ''));
    if (gone.length === 0) return found;
    return run(kubectlPath(), ['delete', '-n', namespace, ...gone], { env: environment });
  }
}

function write(name: string, manifest: object): void {
  writeFileSync(join(manifests, `${name}.json`), JSON.stringify(manifest));
}

const labels = { owner: 'gitops' };

function settings(name: string, data: Record<string, string>): void {
  write(name, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data });
}

/** `replicas` undefined leaves them to whoever scales. */
function web(image: string, replicas?: number): void {
  const template = {
    metadata: { labels: { app: 'web' } },
    spec: { containers: [{ name: 'main', image }] },
  };
  write('web', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template,
      ...(replicas === undefined ? {} : { replicas }),
    },
  });
}

interface Deployment {
  metadata: {
    managedFields: { manager: string; operation: string; fieldsV1: Record<string, object> }[];
  };
  spec: {
    replicas: number;
    template: { spec: { containers: { image: string; env?: object[] }[] } };
  };
}

const readWeb = (): Promise<Deployment> =>
  kubectl.json<Deployment>(['get', 'deployment', 'web', '-n', namespace, '--show-managed-fields']);

async function imageOf(): Promise<string | undefined> {
  return (await readWeb()).spec.template.spec.containers[0]?.image;
}

/** Managers that own the field of the spec, as `managedFields` has them. */
async function ownersOf(field: string): Promise<string[]> {
  const { managedFields } = (await readWeb()).metadata;
  return managedFields
    .filter(({ fieldsV1 }) => `f:${field}` in (fieldsV1['f:spec'] ?? {}))
    .map(({ manager }) => manager)
    .toSorted();
}

const dataOf = async (name: string): Promise<Record<string, string>> => {
  const { data } = await kubectl.json<{ data: Record<string, string> }>([
    ...['get', 'configmap', name, '-n', namespace],
  ]);
  return data;
};

before(async () => {
  server = spawn(
    join(projectFolder, 'selvage'),
    [
      ...['server', '--state', folder],
      ...['--api', `127.0.0.1:${apiPort}`, '--link', `127.0.0.1:${apiPort + 1}`],
    ],
    { stdio: 'ignore' },
  );
  await eventually('the server', 60_000, async () => {
    if (!existsSync(kubeconfig)) return undefined;
    kubectl ??= kubectlFor(kubeconfig);
    await kubectl.ok(['get', '--raw', '/readyz']);
    return true;
  });
  await kubectl.ok(['create', 'namespace', namespace]);
  mkdirSync(manifests);
  settings('prices', { bread: '3' });
  settings('hours', { open: '8' });
  web('web:1');
  const help = await run(kubectlPath(), ['apply', '--help'], { env: environment });
  loop = new Loop(help.stdout.includes('--applyset'));
  loop.start();
});

after(async () => {
  await loop.stop();
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

test('what is in the folder comes to be, and turns without a change write nothing', async () => {
  await eventually('the folder is applied', waitMs, async () =>
    (await imageOf()) === 'web:1' && (await dataOf('prices'))['bread'] === '3' ? true : undefined,
  );
  const revisionOf = async (): Promise<string> =>
    kubectl.ok([
      ...['get', 'configmap', 'prices', '-n', namespace],
      ...['-o', 'jsonpath={.metadata.resourceVersion}'],
    ]);
  const before = await revisionOf();
  const { status, stderr } = await loop.nextTurn();
  assert.equal(status, 0, stderr);
  assert.equal(await revisionOf(), before);
});

test('who scales keeps the replicas over turns of the loop, also when the manifest changes', async () => {
  // As an autoscaler does: through the scale, as a manager of its own.
  const scaled = JSON.stringify({ spec: { replicas: 3 } });
  await kubectl.ok([
    ...['patch', 'deployment', 'web', '-n', namespace, '--subresource=scale', '--type=merge'],
    ...['--field-manager=scaler', '-p', scaled],
  ]);
  web('web:2');
  await eventually('the new image', waitMs, async () =>
    (await imageOf()) === 'web:2' ? true : undefined,
  );
  assert.equal((await loop.nextTurn()).status, 0);
  assert.equal((await readWeb()).spec.replicas, 3);
  assert.deepEqual(await ownersOf('replicas'), ['scaler']);
});

test('a field that somebody else adds stays, and one of the folder that is changed is told and put back', async () => {
  const drift = JSON.stringify({ data: { bread: '1000', milk: '2' } });
  await kubectl.ok([
    ...['patch', 'configmap', 'prices', '-n', namespace, '--type=merge'],
    ...['--field-manager=somebody', '-p', drift],
  ]);
  const refused = await loop.nextTurn();
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /conflict with "somebody".*\.data\.bread/);
  assert.deepEqual(await dataOf('prices'), { bread: '1000', milk: '2' });
  // A turn that met a conflict prunes nothing.
  assert.deepEqual(await dataOf('hours'), { open: '8' });

  loop.force(true);
  await eventually('the drift is put back', waitMs, async () =>
    (await dataOf('prices'))['bread'] === '3' ? true : undefined,
  );
  assert.deepEqual(await dataOf('prices'), { bread: '3', milk: '2' });
  loop.force(false);
  assert.equal((await loop.nextTurn()).status, 0, 'nobody else owns it any more');
});

test('replicas that the folder takes over are a conflict that names who scales, until forced', async () => {
  web('web:2', 1);
  const refused = await loop.nextTurn();
  assert.match(refused.stderr, /conflict with "scaler".*\.spec\.replicas/);
  assert.equal((await readWeb()).spec.replicas, 3);
  loop.force(true);
  await eventually('the replicas of the folder', waitMs, async () =>
    (await readWeb()).spec.replicas === 1 ? true : undefined,
  );
  loop.force(false);
  assert.deepEqual(await ownersOf('replicas'), ['gitops']);
  assert.equal((await loop.nextTurn()).status, 0);
});

test('what leaves the folder is pruned, and nothing else is', async () => {
  await kubectl.ok(['create', 'configmap', 'by-hand', '-n', namespace, '--from-literal=a=b']);
  rmSync(join(manifests, 'hours.json'));
  rmSync(join(manifests, 'web.json'));
  await eventually('both are gone', waitMs, async () => {
    const names = await kubectl.ok([
      ...['get', 'deployments,configmaps', '-n', namespace, '-o', 'name'],
    ]);
    return /hours|web/.test(names) ? undefined : true;
  });
  assert.equal((await loop.nextTurn()).status, 0);
  assert.deepEqual(await dataOf('by-hand'), { a: 'b' });
  assert.deepEqual(await dataOf('prices'), { bread: '3', milk: '2' });
});
