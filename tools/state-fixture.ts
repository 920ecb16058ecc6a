/**
 * `node tools/state-fixture.ts`: writes test/fixtures/state-VERSION.tar.gz, a small fleet
 * as this version leaves it on disk, with what it holds beside it. Made once for each
 * version that is released, and never again: test/e2e/upgrade.test.ts opens every one.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  eventually,
  projectFolder,
  startFleet,
  type TestFleet,
} from '../test/e2e/helpers/fleet.ts';

const folder = join(projectFolder, 'test/fixtures');
const bytesMax = 200_000;
/** Of no tests' fleets, as the pods keep their addresses. */
const podNetwork = '127.58';
const kinds = 'namespaces,configmaps,secrets,deployments,replicasets,pods,nodes,regions,sites';

const configuration = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: shop }
data: { colour: green }
---
apiVersion: v1
kind: Secret
metadata: { name: password, namespace: shop }
stringData: { password: correct horse }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: deleted-again, namespace: shop }
data: { colour: red }
`;

interface List {
  items: { kind: string; metadata: { name: string; namespace?: string; uid: string } }[];
}

async function fill(fleet: TestFleet): Promise<void> {
  const { kubectl } = fleet;
  await kubectl.ok(['apply', '-f', '-'], configuration);
  await kubectl.ok(['delete', 'configmap', 'deleted-again', '-n', 'shop']);
  const example = join(projectFolder, 'examples/edge-microservice/deployment.yaml');
  await kubectl.ok(['apply', '-f', example]);
  await kubectl.ok(['rollout', 'status', 'deployment/edge-microservice', '--timeout=60s']);
}

/** Kind, namespace, name and uid of everything, a line each. */
async function holdings(fleet: TestFleet): Promise<string[]> {
  const { items } = await fleet.kubectl.json<List>(['get', kinds, '--all-namespaces']);
  return items
    .map(({ kind, metadata }) =>
      [kind, metadata.namespace ?? '', metadata.name, metadata.uid].join(' '),
    )
    .sort();
}

const { version } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as {
  version: string;
};
const fleet = await startFleet(['--nodes', '1', '--pod-network', podNetwork]);
try {
  await fill(fleet);
  const before = await eventually('nothing changes any more', 30_000, async () => {
    const now = await holdings(fleet);
    return now.some((line) => line.startsWith('Pod ')) ? now : undefined;
  });
  if ((await fleet.interrupt()) !== 0) throw new Error(fleet.output());
  const state = fleet.stateFolder;
  for (const part of ['logs', 'run', 'server/lock', 'nodes/harbour-1/lock']) {
    rmSync(join(state, part), { recursive: true, force: true });
  }
  writeFileSync(join(state, 'holdings.json'), `${JSON.stringify(before, undefined, 1)}\n`);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `state-${version}.tar.gz`);
  execFileSync('tar', [
    ...['--create', '--gzip', '--file', file, '--directory', state],
    ...['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '.'],
  ]);
  const { size } = statSync(file);
  if (size > bytesMax) throw new Error(`${file} has ${size} bytes; it is to have ${bytesMax}`);
  console.log(`${file}: ${size} bytes, ${before.length} objects`);
} finally {
  await fleet.remove();
}
