// What a node may give back to a server that was restored, and what it may not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, type JsonObject, type Revision, textOf, type Uid, utf8 } from '#base/mod.ts';
import { builtInDefinitions, StatusError } from '#platform/api/mod.ts';
import type { Change, Facet, ObjectKey, StoredObject, StoreView } from '#platform/store/mod.ts';
import { type AdoptionContext, planAdoption, raisedReplicas } from './adoption.ts';

const time = '2026-01-01T00:00:00Z';

function stored(
  resource: string,
  name: string,
  facets: Partial<Record<Facet, JsonObject>>,
  options: { uid?: string; revision?: number; namespace?: string } = {},
): StoredObject {
  const { uid = `uid-${name}`, revision = 50, namespace = 'default' } = options;
  const isCluster = ['nodes', 'namespaces', 'sites.selvage.dev'].includes(resource);
  const rev = revision as Revision;
  return {
    key: { resource, namespace: isCluster ? '' : namespace, name },
    uid: uid as Uid,
    createdRevision: rev,
    revision: rev,
    facets: Object.fromEntries(
      Object.entries(facets).map(([facet, value]) => [
        facet,
        { revision: rev, bytes: utf8(JSON.stringify(value)) },
      ]),
    ),
  };
}

const metadataOf = (name: string, namespace: string, more: JsonObject = {}): JsonObject => ({
  name,
  ...(namespace === '' ? {} : { namespace }),
  uid: `uid-${name}`,
  creationTimestamp: time,
  ...more,
});

interface PodOptions {
  readonly node?: string;
  readonly namespace?: string;
  readonly revision?: number;
  readonly uid?: string;
  readonly metadata?: JsonObject;
  readonly spec?: JsonObject;
}

function pod(name: string, options: PodOptions = {}): StoredObject {
  const {
    node = 'n1',
    namespace = 'default',
    metadata = {},
    spec = {},
    uid = `uid-${name}`,
  } = options;
  const intent = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadataOf(name, namespace, { uid, ...metadata }),
    spec: {
      containers: [{ name: 'main', image: 'x:1' }],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      ...spec,
    },
  };
  const facets = { intent, assignment: { nodeName: node, images: {} } };
  return stored('pods', name, facets, options);
}

const node = (name: string, podCIDR: string, options: { uid?: string } = {}): StoredObject =>
  stored(
    'nodes',
    name,
    {
      intent: {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: metadataOf(name, '', { uid: options.uid ?? `uid-${name}` }),
        spec: {},
      },
      assignment: { region: 'north', site: 'mill', podCIDR },
    },
    options,
  );

const configMap = (
  name: string,
  value: string,
  options: { revision?: number } = {},
): StoredObject =>
  stored(
    'configmaps',
    name,
    {
      intent: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: metadataOf(name, 'default'),
        data: { value },
      },
    },
    options,
  );

const named = (name: string): StoredObject =>
  stored('namespaces', name, {
    intent: { apiVersion: 'v1', kind: 'Namespace', metadata: metadataOf(name, ''), spec: {} },
  });

const site = stored('sites.selvage.dev', 'mill', {
  intent: { metadata: metadataOf('mill', ''), spec: { region: 'north' } },
});
const usual = [named('default'), site, node('n1', '127.1.1.0/24')];

const textOfKey = ({ resource, namespace, name }: ObjectKey): string =>
  `${resource}/${namespace}/${name}`;

function viewOf(objects: readonly StoredObject[]): StoreView {
  const byKey = new Map(objects.map((object) => [textOfKey(object.key), object]));
  return {
    revision: 100 as Revision,
    get: (key) => byKey.get(textOfKey(key)),
    list: (resource) => objects.filter(({ key }) => key.resource === resource),
    lookup: () => [],
  };
}

const context: AdoptionContext = {
  definitions: builtInDefinitions,
  nowMs: 0,
  newUid: (name) => `new-${name}`,
  partedAtRevision: 100,
  takenRevisions: new Map(),
  recordNode(_view, nodeName) {
    if (nodeName === 'forged') throw new StatusError('Invalid', 'its key is not proved');
    return [];
  },
};

function judge(
  offered: readonly StoredObject[],
  held: readonly StoredObject[] = usual,
  nodeName = 'n1',
) {
  const offer = { nodeName, objects: offered };
  const { changes, outcomes } = planAdoption(viewOf(held), offer, offered, context);
  return {
    changes,
    told: outcomes.map(({ object, outcome, remark }) =>
      [outcome, object, ...(remark === undefined ? [] : [remark])].join(' | '),
    ),
  };
}

const written = (changes: readonly Change[]): string[] =>
  changes.map((change) =>
    change.type === 'put'
      ? `${textOfKey(change.key)} ${change.facet}`
      : `delete ${change.key.name}`,
  );

test('a pod that the server lacks is taken in as it is, with what it names and its namespace', () => {
  const spec = {
    containers: [{ name: 'main', image: 'x:1', envFrom: [{ configMapRef: { name: 'c' } }] }],
  };
  const { changes, told } = judge([
    configMap('c', 'one'),
    configMap('other', 'two'),
    pod('a', { spec }),
    pod('b', { namespace: 'late' }),
  ]);
  assert.deepEqual(told, [
    'taken in | configmaps/default/c',
    'refused | configmaps/default/other | no pod of the node names it',
    'taken in | pods/default/a',
    'taken in | pods/late/b',
  ]);
  assert.deepEqual(written(changes), [
    'configmaps/default/c intent',
    'pods/default/a intent',
    'pods/default/a assignment',
    'namespaces//late intent',
    'pods/late/b intent',
    'pods/late/b assignment',
  ]);
});

const withReport = (object: StoredObject, revision: number, phase = 'Running'): StoredObject => ({
  ...object,
  facets: {
    ...object.facets,
    report: {
      revision: revision as Revision,
      bytes: utf8(JSON.stringify({ status: { phase } })),
    },
  },
});

test('of what both have the newer facet counts', () => {
  const names = {
    spec: { containers: [{ name: 'm', image: 'x:1', envFrom: [{ configMapRef: { name: 'c' } }] }] },
  };
  const held = [...usual, pod('a', names), configMap('c', 'old', { revision: 10 })];
  const newer = judge([configMap('c', 'new'), withReport(pod('a', names), 3)], held);
  assert.deepEqual(newer.told, [
    'brought up to date | configmaps/default/c',
    'brought up to date | pods/default/a',
  ]);
  assert.deepEqual(written(newer.changes), [
    'configmaps/default/c intent',
    'pods/default/a report',
  ]);
  const older = judge([configMap('c', 'older', { revision: 4 }), pod('a', names)], held);
  assert.deepEqual(older.told, [
    "present | configmaps/default/c | the server's intent is newer and stays",
    'present | pods/default/a',
  ]);
  assert.deepEqual(older.changes, []);
});

test('a report of a copy counts unless the node has told the server a later one', () => {
  // The histories parted at revision 100 of the server: what it heard by then is in both.
  const offered = withReport(pod('a'), 150);
  const outcomeWith = (revision: number): readonly string[] => {
    const held = [...usual, withReport(pod('a'), revision, 'Succeeded')];
    return judge([offered], held).told;
  };
  assert.deepEqual(outcomeWith(99), ['brought up to date | pods/default/a']);
  assert.deepEqual(outcomeWith(101), [
    "present | pods/default/a | the server's report is newer and stays",
  ]);
  const behind = judge(
    [withReport(pod('a'), 90)],
    [...usual, withReport(pod('a'), 99, 'Succeeded')],
  );
  assert.deepEqual(behind.told, [
    "present | pods/default/a | the server's report is newer and stays",
  ]);
});

test('what is not the node own, not valid, or another one by now is refused with the reason', () => {
  const held = [
    ...usual,
    pod('moved', { node: 'n2' }),
    pod('other', { uid: 'uid-of-another' }),
    stored('namespaces', 'ending', {
      intent: {
        kind: 'Namespace',
        metadata: metadataOf('ending', '', { deletionTimestamp: time }),
      },
    }),
  ];
  const noise: StoredObject = {
    ...pod('noise'),
    facets: { ...pod('noise').facets, intent: { revision: 1 as Revision, bytes: utf8('?') } },
  };
  const { changes, told } = judge(
    [
      node('n2', '127.1.9.0/24'),
      pod('foreign', { node: 'n2' }),
      pod('moved'),
      pod('other'),
      pod('wrong', { spec: { containers: [] } }),
      pod('ends', { namespace: 'ending' }),
      noise,
      { ...pod('renamed'), key: { resource: 'pods', namespace: 'default', name: 'liar' } },
      { ...pod('x'), key: { resource: 'deployments.apps', namespace: 'default', name: 'x' } },
      pod('twice'),
      pod('twice', { uid: 'uid-2' }),
    ],
    held,
  );
  assert.deepEqual(told, [
    'refused | nodes//n2 | it is another node',
    'refused | pods/default/foreign | it is not assigned to the node',
    'refused | pods/default/moved | the server has given it to node n2 meanwhile',
    'refused | pods/default/other | the server has another object of that name',
    told[4],
    'refused | pods/ending/ends | namespace ending is being deleted',
    'refused | pods/default/noise | its intent is no object',
    'refused | pods/default/liar | what it declares is not of its name, kind and uid',
    'refused | deployments.apps/default/x | nodes give back no such objects',
    'taken in | pods/default/twice',
    'refused | pods/default/twice | it is offered twice',
  ]);
  assert.match(
    told[4] ?? '',
    /^refused \| pods\/default\/wrong \| it is not valid: spec\.containers/,
  );
  assert.deepEqual(written(changes), [
    'pods/default/twice intent',
    'pods/default/twice assignment',
  ]);
});

test('whatever is in what a node offers, it is refused and harms nothing', () => {
  const odd: Json[] = [null, 7, 'x', [], {}, [null], { a: { b: [] } }];
  const offered = odd.flatMap((value, index) =>
    ['spec', 'metadata', 'status', 'containers', 'images', 'conditions', 'lost'].map((place) => {
      const good = pod(`p${index}-${place}`);
      const intent = JSON.parse(textOf(good.facets.intent?.bytes ?? utf8('{}'))) as JsonObject;
      const assignment: JsonObject = { nodeName: 'n1', images: {} };
      const report: JsonObject = { status: {} };
      const verdict: JsonObject = {};
      if (place === 'spec') intent['spec'] = value;
      else if (place === 'metadata') intent['metadata'] = value;
      else if (place === 'containers') intent['spec'] = { containers: value };
      else if (place === 'images') assignment['images'] = value;
      else if (place === 'status') report['status'] = value;
      else verdict[place] = value;
      const revision = 50 as Revision;
      const bytesOf = (part: JsonObject) => ({ revision, bytes: utf8(JSON.stringify(part)) });
      return {
        ...good,
        facets: {
          intent: bytesOf(intent),
          assignment: bytesOf(assignment),
          report: bytesOf(report),
          verdict: bytesOf(verdict),
        },
      };
    }),
  );
  const { told } = judge(offered);
  assert.equal(told.length, offered.length);
  const taken = told.filter((line) => line.startsWith('taken in'));
  // What is nothing odd in its place: no conditions, no images, fields that nobody knows.
  assert.deepEqual(taken, [
    'taken in | pods/default/p3-conditions',
    'taken in | pods/default/p4-status',
    'taken in | pods/default/p4-images',
    'taken in | pods/default/p6-status',
  ]);
});

test('a node that joined after the backup comes in with its pods, where its place is free', () => {
  const offered = [node('late', '127.1.2.0/24'), pod('a', { node: 'late' })];
  assert.deepEqual(judge(offered, usual, 'late').told, [
    'taken in | nodes//late',
    'taken in | pods/default/a',
  ]);
  const taken = judge([node('late', '127.1.1.0/24'), pod('a', { node: 'late' })], usual, 'late');
  assert.deepEqual(taken.told, [
    'refused | nodes//late | its addresses 127.1.1.0/24 belong to node n1 by now: join it again with a new token',
    'refused | pods/default/a | node late is not known',
  ]);
  assert.deepEqual(taken.changes, []);
  const nowhere = judge(offered, [named('default'), node('n1', '127.1.1.0/24')], 'late');
  assert.match(nowhere.told[0] ?? '', /the server knows no site mill in region north/);
  const forged = judge([node('forged', '127.1.2.0/24')], usual, 'forged');
  assert.deepEqual(forged.told, ['refused | nodes//forged | its key is not proved']);
  const moved = judge([node('n1', '127.1.7.0/24')]);
  assert.deepEqual([moved.told, moved.changes], [['present | nodes//n1'], []]);
  const again = judge([node('n1', '127.1.1.0/24', { uid: 'uid-older' })]);
  assert.deepEqual(again.told, [
    'refused | nodes//n1 | the server has another object of that name',
  ]);
});

test('an owner that the server does not know is written down and does not take the pod with it', () => {
  const owner = (name: string): JsonObject => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name,
    uid: `uid-${name}`,
    controller: true,
  });
  const set = stored('replicasets.apps', 'known', { intent: { spec: { replicas: 1 } } });
  const { changes, told } = judge(
    [
      pod('a', { metadata: { ownerReferences: [owner('lost')] } }),
      pod('b', { metadata: { ownerReferences: [owner('known')] } }),
    ],
    [...usual, set],
  );
  assert.deepEqual(told, [
    'taken in | pods/default/a | its owner ReplicaSet/lost is not known to the server: it goes on without one',
    'taken in | pods/default/b',
  ]);
  const [first, , third] = changes;
  assert.ok(first?.type === 'put' && third?.type === 'put');
  const { metadata } = JSON.parse(textOf(first.bytes)) as { metadata: JsonObject };
  assert.equal(metadata['ownerReferences'], undefined);
  assert.deepEqual(metadata['annotations'], { 'selvage.dev/former-owner': 'ReplicaSet/lost' });
  assert.match(textOf(third.bytes), /ownerReferences/);
});

test('a Deployment is raised to what runs of it, never lowered, and not for what runs nowhere', () => {
  const owned = (kind: string, name: string): JsonObject => ({
    ownerReferences: [{ kind, name, uid: `uid-${name}`, controller: true }],
  });
  const deployment = (replicas: number): StoredObject =>
    stored('deployments.apps', 'web', {
      intent: { metadata: { generation: 4 }, spec: { replicas } },
    });
  const set = stored('replicasets.apps', 'web-1', {
    intent: { metadata: owned('Deployment', 'web'), spec: { replicas: 2 } },
  });
  const pods = ['a', 'b', 'c', 'ghost'].map((name) =>
    pod(name, { metadata: owned('ReplicaSet', 'web-1') }),
  );
  const away = pod('away', { node: 'n9', metadata: owned('ReplicaSet', 'web-1') });
  const taken = new Set(['a', 'b', 'c'].map((name) => `pods/default/${name}`));
  const run = (replicas: number) =>
    raisedReplicas(viewOf([deployment(replicas), set, ...pods, away]), taken, new Set(['n1']));
  const { changes, remarks } = run(2);
  assert.deepEqual(remarks, [
    'deployments.apps/default/web was raised from 2 to 4 replicas: so many run',
    'replicasets.apps/default/web-1 was raised from 2 to 4 replicas: so many run',
  ]);
  const [change] = changes;
  assert.ok(change?.type === 'put');
  assert.deepEqual(JSON.parse(textOf(change.bytes)), {
    metadata: { generation: 5 },
    spec: { replicas: 4 },
  });
  assert.deepEqual(run(9).remarks, [
    'replicasets.apps/default/web-1 was raised from 2 to 4 replicas: so many run',
  ]);
});
