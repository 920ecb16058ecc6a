// What asks a victim to end, as it is stored.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { victimChanges } from './preempting.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

function victim(spec: JsonObject): StoredObject {
  const intent = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', generation: 1 }, spec };
  const facets = Object.entries({ intent, assignment: { nodeName: 'n' } }).map(([facet, value]) => [
    facet,
    { revision: 1, bytes: utf8(JSON.stringify(value)) },
  ]);
  return {
    key: { resource: 'pods', namespace: 'default', name: 'p' },
    uid: 'uid-p',
    createdRevision: 1,
    revision: 1,
    facets: Object.fromEntries(facets),
  } as unknown as StoredObject;
}

test('a victim has its own grace, and a day at most', () => {
  const cases: [JsonObject, number, string][] = [
    [{}, 30, '2026-01-01T00:00:30Z'],
    [{ terminationGracePeriodSeconds: 5 }, 5, '2026-01-01T00:00:05Z'],
    [{ terminationGracePeriodSeconds: 1_000_000_000_000 }, 86_400, '2026-01-02T00:00:00Z'],
  ];
  for (const [spec, seconds, endTime] of cases) {
    const pod = victim(spec);
    const nomination = { nodeName: 'n', victims: [pod.uid] };
    const [found] = victimChanges({ lookup: () => [pod] }, { get: () => pod }, nomination, nowMs);
    const change = found?.changes.find((one) => one.type === 'put' && one.facet === 'intent');
    assert.ok(change?.type === 'put');
    const { metadata } = JSON.parse(Buffer.from(change.bytes).toString()) as JsonObject & {
      metadata: JsonObject;
    };
    assert.equal(metadata['deletionGracePeriodSeconds'], seconds);
    assert.equal(metadata['deletionTimestamp'], endTime);
    assert.equal(metadata['generation'], 2);
  }
});
