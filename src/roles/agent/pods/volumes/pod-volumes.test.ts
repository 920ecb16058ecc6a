import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { utf8 } from '#base/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeDisk, createNodeFileTree } from '#platform/io/node/mod.ts';
import type { Container, Volume, VolumeMount } from '#platform/api/mod.ts';
import { AgentError } from '../../errors.ts';
import type { PodFacts } from '../pod-fields.ts';
import { createPodVolumes, type PodVolumes } from './pod-volumes.ts';

const ownerId = 123_456;

function openPlace(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'volumes-'));
  const disk = createNodeDisk(folder);
  const data = new Map<string, Record<string, string>>();
  const open = (): PodVolumes =>
    createPodVolumes(
      {
        disk,
        tree: createNodeFileTree(),
        logger: silentLogger,
        claims: {
          resolve: () => Promise.reject(new AgentError('CONTAINER_CONFIG', 'no claims here')),
          overuse: () => Promise.resolve(undefined),
          releaseUnused: () => Promise.resolve(),
        },
        objects: {
          dataOf(kind, _namespace, name) {
            const values = data.get(`${kind}/${name}`);
            if (values === undefined) return undefined;
            return new Map(Object.entries(values).map(([key, value]) => [key, utf8(value)]));
          },
        },
      },
      { hostPathPrefixes: [join(folder, 'shared')], userIdOf: () => ownerId },
    );
  context.after(() => rmSync(folder, { recursive: true }));
  return { folder, data, open };
}

function podWith(volumes: Volume[], fields: Partial<PodFacts> = {}): PodFacts {
  return {
    uid: 'uid-1',
    namespace: 'default',
    name: 'p',
    metadata: { labels: { app: 'p' } },
    spec: { containers: [{ name: 'main', image: 'app:1' }], volumes },
    ip: '127.1.0.1',
    nodeName: 'n',
    hostAddress: '192.0.2.1',
    allocatable: undefined,
    ...fields,
  };
}

function containerWith(...volumeMounts: VolumeMount[]): Container {
  return { name: 'main', image: 'app:1', volumeMounts };
}

const refusal = (expected: RegExp) => (error: unknown) =>
  error instanceof AgentError && error.code === 'CONTAINER_CONFIG' && expected.test(error.message);

test('files change as a whole, keep their places, and are not written again for nothing', async (context) => {
  const { folder, data, open } = openPlace(context);
  data.set('configmap/c', { a: '1', b: '2' });
  data.set('secret/s', { key: 'hush' });
  const sources = [
    { configMap: { name: 'c' } },
    { secret: { name: 's', items: [{ key: 'key', path: 'deep/er/key', mode: 0o444 }] } },
    {
      downwardAPI: { items: [{ path: 'app', fieldRef: { fieldPath: "metadata.labels['app']" } }] },
    },
  ];
  const pod = podWith([{ name: 'v', projected: { sources } }]);
  const container = containerWith({ name: 'v', mountPath: '/etc//v/' });
  const volumes = open();
  const [mount] = await volumes.mountsFor(pod, container);
  const source = join(folder, 'pods/uid-1/.volumes/v');
  assert.deepEqual(mount, { source, path: '/etc/v', isReadOnly: true, below: [], isFile: false });
  const read = (path: string) => readFileSync(join(source, path), 'utf8');
  assert.deepEqual(['a', 'b', 'deep/er/key', 'app'].map(read), ['1', '2', 'hush', 'p']);
  const found = statSync(join(source, 'deep/er/key'));
  assert.deepEqual([found.mode & 0o777, found.uid, found.gid], [0o400, ownerId, ownerId]);
  assert.equal(statSync(join(folder, 'pods/uid-1/.volumes')).mode & 0o777, 0o700);
  const first = readlinkSync(join(source, '..data'));

  // A file of the state that is shown does not change under a reader.
  data.set('configmap/c', { a: 'new', c: '3' });
  await volumes.refresh(pod);
  assert.notEqual(readlinkSync(join(source, '..data')), first);
  assert.deepEqual(['a', 'c'].map(read), ['new', '3']);
  const shown = readdirSync(source).filter((name) => !name.startsWith('..'));
  assert.deepEqual(shown, ['a', 'app', 'c', 'deep']);
  assert.equal(existsSync(join(source, first)), false);

  const before = statSync(join(source, 'a')).ino;
  await open().refresh(pod);
  await open().mountsFor(pod, container);
  assert.equal(statSync(join(source, 'a')).ino, before, 'another agent finds it as it should be');
  // Damage, as a power cut leaves it, is found by the next agent.
  const damaged = join(source, readlinkSync(join(source, '..data')), 'a');
  chmodSync(damaged, 0o600);
  writeFileSync(damaged, '');
  await open().refresh(pod);
  assert.equal(read('a'), 'new');

  // The object goes: what was there stays, also for a container that is started again.
  data.delete('configmap/c');
  await volumes.refresh(pod);
  assert.equal(read('a'), 'new');
  assert.deepEqual(await volumes.mountsFor(pod, container), [mount]);
  assert.equal(read('a'), 'new');
  const other = { ...pod, uid: 'uid-2' };
  await assert.rejects(
    volumes.mountsFor(other, container),
    refusal(/^volume "v": configmap "c" not found$/),
  );
  await volumes.remove('uid-1');
  assert.equal(existsSync(join(folder, 'pods/uid-1/.volumes')), false);
});

test('what two sources make both a file and a folder of is refused', async (context) => {
  const { data, open } = openPlace(context);
  data.set('configmap/c', { a: '1' });
  const sources = [
    { configMap: { name: 'c' } },
    { configMap: { name: 'c', items: [{ key: 'a', path: 'a/b' }] } },
  ];
  const pod = podWith([{ name: 'v', projected: { sources } }]);
  await assert.rejects(open().mountsFor(pod, containerWith()), refusal(/a would be both a file/));
  const items = [{ key: 'absent', path: 'x' }];
  const other = podWith([{ name: 'v', configMap: { name: 'c', items } }]);
  await assert.rejects(open().mountsFor(other, containerWith()), refusal(/has no key "absent"/));
  const optional = podWith([{ name: 'v', configMap: { name: 'c', items, optional: true } }]);
  assert.deepEqual(await open().mountsFor(optional, containerWith()), []);
});

test('a part of written files is followed here, a part of an empty folder is left to the start', async (context) => {
  const { folder, data, open } = openPlace(context);
  data.set('configmap/c', { 'app.conf': 'x' });
  const pod = podWith([
    { name: 'c', configMap: { name: 'c', items: [{ key: 'app.conf', path: 'sub/app.conf' }] } },
    { name: 'e', emptyDir: {} },
  ]);
  const volumes = open();
  const mounts = await volumes.mountsFor(
    pod,
    containerWith(
      { name: 'c', mountPath: '/e/deeper/conf', subPath: 'sub/app.conf' },
      { name: 'e', mountPath: '/e', subPath: 'a/b', readOnly: true },
    ),
  );
  const base = join(folder, 'pods/uid-1/.volumes');
  const state = readlinkSync(join(base, 'c/..data'));
  assert.deepEqual(mounts, [
    { source: `${base}/e`, path: '/e', isReadOnly: true, below: ['a', 'b'], isFile: false },
    {
      source: `${base}/c/${state}/sub/app.conf`,
      path: '/e/deeper/conf',
      isReadOnly: true,
      below: [],
      isFile: true,
    },
  ]);
  assert.equal(statSync(join(base, 'e')).mode & 0o777, 0o777);
  const absent = containerWith({ name: 'c', mountPath: '/x', subPath: 'absent' });
  await assert.rejects(volumes.mountsFor(pod, absent), refusal(/no such file in the volume/));
});

test('memory has an end, is kept between starts, and is given back', async (context) => {
  const { folder, open } = openPlace(context);
  const pod = podWith([{ name: 'm', emptyDir: { medium: 'Memory', sizeLimit: '64Ki' } }]);
  const volumes = open();
  const [mount] = await volumes.mountsFor(pod, containerWith({ name: 'm', mountPath: '/m' }));
  const path = mount?.source ?? '';
  writeFileSync(join(path, 'note'), 'kept');
  await open().mountsFor(pod, containerWith());
  assert.equal(readFileSync(join(path, 'note'), 'utf8'), 'kept');
  assert.throws(() => writeFileSync(join(path, 'big'), Buffer.alloc(1024 * 1024)), /ENOSPC/);
  await volumes.releaseMemory();
  assert.deepEqual(readdirSync(path), []);
  await open().mountsFor(pod, containerWith());
  await volumes.remove('uid-1');
  assert.doesNotMatch(readFileSync('/proc/mounts', 'utf8'), new RegExp(folder));
});

test('removing and measuring volumes follows no link, however deep they are', async (context) => {
  const { folder, open } = openPlace(context);
  mkdirSync(join(folder, 'outside'));
  writeFileSync(join(folder, 'outside/large'), Buffer.alloc(4 * 1024 * 1024));
  const pod = podWith([{ name: 'e', emptyDir: { sizeLimit: '1Mi' } }]);
  const volumes = open();
  const [mount] = await volumes.mountsFor(pod, containerWith({ name: 'e', mountPath: '/e' }));
  const path = mount?.source ?? '';
  symlinkSync(join(folder, 'outside'), join(path, 'link'));
  symlinkSync('/', join(path, 'root'));
  assert.equal(await volumes.overuse(pod), undefined);
  // Longer in the end than any path may be, as a workload can make it from within.
  const dig = `const name = 'd'.repeat(250);
    const { mkdirSync, writeFileSync } = require('node:fs');
    for (let depth = 0; depth < 20; depth += 1) { mkdirSync(name); process.chdir(name); }
    writeFileSync('x', Buffer.alloc(2 * 1024 * 1024));`;
  const dug = spawnSync(process.execPath, ['-e', dig], { cwd: path, encoding: 'utf8' });
  assert.equal(dug.status, 0, dug.stderr);
  assert.match((await volumes.overuse(pod)) ?? '', /"e" exceeds the limit "1Mi"/);
  await volumes.remove('uid-1');
  assert.ok(existsSync(join(folder, 'outside/large')));
  assert.equal(existsSync(path), false);
});

test('of the node only what is below an allowed path is shown, and not through links', async (context) => {
  const { folder, open } = openPlace(context);
  const shared = join(folder, 'shared');
  mkdirSync(join(shared, 'data'), { recursive: true });
  mkdirSync(join(folder, 'shared-not'));
  writeFileSync(join(shared, 'file'), 'x');
  symlinkSync('/etc', join(shared, 'link'));
  const mountOf = async (path: string, type?: string) => {
    const hostPath = { path, ...(type === undefined ? {} : { type }) };
    const pod = podWith([{ name: 'h', hostPath }]);
    const [mount] = await open().mountsFor(pod, containerWith({ name: 'h', mountPath: '/h' }));
    return [mount?.source, mount?.below, mount?.isFile];
  };
  assert.deepEqual(await mountOf(`${shared}/data/`), [shared, ['data'], false]);
  assert.deepEqual(await mountOf(shared, 'Directory'), [shared, [], false]);
  assert.deepEqual(await mountOf(`${shared}/file`), [shared, ['file'], true]);
  assert.deepEqual(await mountOf(`${shared}/x/y`, 'DirectoryOrCreate'), [
    shared,
    ['x', 'y'],
    false,
  ]);
  assert.deepEqual(await mountOf(`${shared}/x/y`, 'FileOrCreate'), [shared, ['x', 'y'], true]);
  const cases: readonly [string, string | undefined, RegExp][] = [
    ['/etc', undefined, /hostPath \/etc is not allowed on this node \(only below/],
    [`${shared}-not`, undefined, /is not allowed/],
    [`${shared}/link`, undefined, /leads through the link/],
    [`${shared}/link/passwd`, undefined, /leads through .*link, which is no folder/],
    [`${shared}/absent`, undefined, /is not there/],
    [`${shared}/absent`, 'File', /is not a file/],
    [`${shared}/file`, 'Directory', /is a file, not a directory/],
  ];
  for (const [path, type, expected] of cases) {
    await assert.rejects(mountOf(path, type), refusal(expected), path);
  }
});
