// What the hub says of a node that it does not hear, and what a pod asks for then.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  builtInDefinitions,
  type Node,
  type ResourceDefinition,
  stopAfterMsOf,
} from '../mod.ts';

function definition(kind: string): ResourceDefinition {
  const found = builtInDefinitions.find((candidate) => candidate.kind === kind);
  assert.ok(found);
  return found;
}

function served(ready: string, taints: JsonObject[]): Node {
  const intent = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: { taints } };
  const verdict = { ready, reason: '', message: '', sinceTime: '2026-01-01T00:00:00Z' };
  return definition('Node').facets.fold({ intent, verdict }) as Node;
}

function refusals(kind: string, object: ApiObject, previous?: ApiObject): string[] {
  const operation = previous === undefined ? 'create' : 'update';
  const errors = definition(kind).validate?.(object, { operation, previous }) ?? [];
  return errors.map(({ field, reason }) => `${field} ${reason}`);
}

const heat = { key: 'heat', value: 'high', effect: 'NoExecute' };
const unreachable = 'node.kubernetes.io/unreachable';

test('a node that is not heard of has the taints of the hub beside those of users', () => {
  const keys = (node: Node): string[] =>
    (node.spec.taints ?? []).map(({ key, effect }) => `${key}:${effect}`);
  assert.deepEqual(keys(served('True', [heat])), ['heat:NoExecute']);
  assert.deepEqual(served('True', []).spec.taints, undefined);
  const lost = served('Unknown', [heat]);
  assert.deepEqual(keys(lost), [
    'heat:NoExecute',
    `${unreachable}:NoSchedule`,
    `${unreachable}:NoExecute`,
  ]);
  assert.equal(lost.spec.taints?.[2]?.timeAdded, '2026-01-01T00:00:00Z');
});

test('nobody else sets the taints of the hub, and none is kept that came back in a write', () => {
  const lost = served('Unknown', [heat]);
  assert.deepEqual(refusals('Node', lost, lost), [], 'the echo of a read');
  const { intent } = definition('Node').facets.split(lost);
  const spec = intent?.['spec'] as JsonObject | undefined;
  assert.deepEqual(spec?.['taints'], [heat]);
  assert.deepEqual(refusals('Node', lost, served('True', [heat])), [
    'spec.taints[1].key FieldValueForbidden',
    'spec.taints[2].key FieldValueForbidden',
  ]);
});

test('what a pod does when it is cut off is read from one annotation, and checked at the door', () => {
  const podWith = (onCut: string): ApiObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', annotations: { 'selvage.dev/on-cut': onCut } },
    spec: { containers: [{ name: 'main', image: 'app:1' }] },
  });
  const read = (onCut: string): number | undefined =>
    stopAfterMsOf({ 'selvage.dev/on-cut': onCut });
  assert.deepEqual(
    ['keep', 'stop-after=1500ms', 'stop-after=30s', 'stop-after=2m', 'stop-after=168h'].map(read),
    [undefined, 1_500, 30_000, 120_000, 604_800_000],
  );
  for (const good of ['keep', 'stop-after=30s']) {
    assert.deepEqual(refusals('Pod', podWith(good)), []);
  }
  const bad = ['', 'stop', 'stop-after', 'stop-after=', 'stop-after=0s', 'stop-after=999ms'];
  for (const text of [...bad, 'stop-after=169h', 'stop-after=-1s', 'stop-after=1.5s', 'KEEP']) {
    assert.deepEqual(refusals('Pod', podWith(text)), [
      'metadata.annotations[selvage.dev/on-cut] FieldValueInvalid',
    ]);
    assert.equal(read(text), undefined);
  }
});
