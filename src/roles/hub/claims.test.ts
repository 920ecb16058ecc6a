import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, type JsonObject, utf8 } from '#base/mod.ts';
import type { Facet, ObjectKey, StoredObject, StoreView } from '#platform/store/mod.ts';
import { bindClaims, claimsOfPod, type ClaimsTaken } from './claims.ts';
import { hubIndexes } from './stored-facets.ts';

function stored(
  resource: string,
  name: string,
  facets: Partial<Record<Facet, JsonObject>>,
): StoredObject {
  const revision = 1 as never;
  const key: ObjectKey = { resource, namespace: resource === 'nodes' ? '' : 'shop', name };
  const encoded = Object.entries(facets).map(([facet, value]) => [
    facet,
    { revision, bytes: utf8(JSON.stringify(value)) },
  ]);
  const uid = `uid-${name}` as never;
  const facetsOf = Object.fromEntries(encoded);
  return { key, uid, createdRevision: revision, revision, facets: facetsOf };
}

function viewOf(objects: readonly StoredObject[]): StoreView {
  const text = ({ resource, namespace, name }: ObjectKey): string =>
    `${resource}/${namespace}/${name}`;
  return {
    revision: 1 as never,
    get: (key) => objects.find((object) => text(object.key) === text(key)),
    list: (resource) => objects.filter(({ key }) => key.resource === resource),
    lookup: (index, value) =>
      objects.filter((object) => hubIndexes[index]?.(object).includes(value)),
  };
}

const node = (name: string): StoredObject => stored('nodes', name, { intent: {} });
const localClass = {
  ...stored('storageclasses.storage.k8s.io', 'node-local', { intent: {} }),
  key: { resource: 'storageclasses.storage.k8s.io', namespace: '', name: 'node-local' },
};

function claim(
  name: string,
  nodeName?: string,
  { mode = 'ReadWriteOnce', storageClassName = 'node-local', metadata = {} } = {},
): StoredObject {
  return stored('persistentvolumeclaims', name, {
    intent: { metadata, spec: { accessModes: [mode], storageClassName } },
    ...(nodeName === undefined ? {} : { assignment: { nodeName } }),
  });
}

function pod(name: string, claims: readonly string[], nodeName?: string): StoredObject {
  const volumes: Json = claims.map((claimName) => ({
    name: claimName,
    persistentVolumeClaim: { claimName },
  }));
  return stored('pods', name, {
    intent: { spec: { volumes } },
    ...(nodeName === undefined ? {} : { assignment: { nodeName, images: {} } }),
  });
}

function none(): ClaimsTaken {
  return { nodes: new Map(), single: new Set() };
}

function told(objects: readonly StoredObject[], of: StoredObject, taken?: ClaimsTaken): string {
  const claims = claimsOfPod(viewOf([localClass, node('n1'), ...objects]), of, taken);
  return claims.type === 'wait' ? claims.message : `on ${claims.nodeName ?? 'any'}`;
}

test('a pod goes where its data is, and waits with the reason where it cannot have it', () => {
  const wanting = pod('p', ['a', 'b']);
  assert.equal(told([], pod('p', [])), 'on any');
  assert.equal(told([claim('a')], wanting), 'persistentvolumeclaim "b" not found');
  assert.equal(told([claim('a'), claim('b')], wanting), 'on any');
  assert.equal(told([claim('a'), claim('b', 'n1')], wanting), 'on n1');
  assert.match(
    told([claim('a', 'n1'), claim('b', 'gone')], wanting),
    /"b" is on node gone, which is gone/,
  );
  assert.match(
    told([claim('a', 'n1'), claim('b', 'n2'), node('n2')], wanting),
    /"a" is on node n1, that of "b" on node n2: no pod can have both/,
  );
  const metadata = { deletionTimestamp: '2026-01-01T00:00:00Z' };
  const leaving = [claim('a', 'n1'), claim('b', 'n1', { metadata })];
  assert.equal(told(leaving, wanting), 'persistentvolumeclaim "b" is being deleted');
  const other = [claim('a'), claim('b', undefined, { storageClassName: 'fast' })];
  assert.match(told(other, wanting), /storageclass.storage.k8s.io "fast", which is not found/);
});

test('a claim for one pod has one at a time', () => {
  const single = claim('a', 'n1', { mode: 'ReadWriteOncePod' });
  const first = pod('first', ['a'], 'n1');
  assert.match(told([single, first], pod('second', ['a'])), /another pod uses it/);
  assert.equal(told([single, first], first), 'on n1');
  const ended = {
    ...first.facets,
    report: stored('x', 'x', { report: { status: { phase: 'Succeeded' } } }).facets.report,
  };
  assert.equal(
    told([single, { ...first, facets: ended } as StoredObject], pod('second', ['a'])),
    'on n1',
  );
});

test('what one transaction decides for a claim holds for all pods in it', () => {
  const shared = claim('a');
  const taken = none();
  const changes = bindClaims([shared], 'n1', taken);
  assert.equal(changes.length, 1);
  assert.equal(told([shared], pod('second', ['a']), taken), 'on n1');
  assert.deepEqual(bindClaims([shared], 'n1', taken), []);
  const single = claim('b', undefined, { mode: 'ReadWriteOncePod' });
  bindClaims([single], 'n1', taken);
  assert.match(told([single], pod('second', ['b']), taken), /another pod uses it/);
});
