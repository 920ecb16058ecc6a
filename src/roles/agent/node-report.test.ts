import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { Replica, UpwardEntry } from '#platform/sync/mod.ts';
import { createNodeReporter, type NodeReportOptions } from './node-report.ts';

const options = {
  nodeName: 'n1',
  version: '1.0.0',
  runtimes: ['script'],
  platforms: [],
  facts: { hostAddress: '192.0.2.1', cpuMillis: 1000, memoryBytes: 2 ** 30, podsMax: 10 },
} as unknown as NodeReportOptions;

function nodeWith(report: JsonObject | undefined): StoredObject {
  const revision = 1 as never;
  const facets =
    report === undefined ? {} : { report: { revision, bytes: utf8(JSON.stringify(report)) } };
  const key = { resource: 'nodes', namespace: '', name: 'n1' };
  return { key, uid: 'uid-1' as never, createdRevision: revision, revision, facets };
}

test('a node says how it is once in each incarnation of a hub that does not have it', async () => {
  let node = nodeWith(undefined);
  let incarnation = 'i';
  const told: JsonObject[] = [];
  const replica = {
    get cursor() {
      return { incarnation, sequence: 1 as never, chainHash: '' };
    },
    get: () => node,
  } as unknown as Replica;
  const outbox = {
    put(entry: UpwardEntry) {
      if (entry.type === 'report') told.push(entry.report);
      return Promise.resolve({ incarnation: 'o', sequence: told.length });
    },
  } as never;
  const reporter = createNodeReporter({ replica, outbox }, options);
  await reporter.lookAgain();
  await reporter.lookAgain();
  assert.equal(told.length, 1);
  node = nodeWith(told[0]);
  await reporter.lookAgain();
  // A hub from a backup, which does not have what the one before it was told.
  node = nodeWith(undefined);
  incarnation = 'ii';
  await reporter.lookAgain();
  await reporter.lookAgain();
  assert.equal(told.length, 2);
  assert.deepEqual(told[1], told[0]);
  node = nodeWith(told[1]);
  incarnation = 'iii';
  await reporter.lookAgain();
  assert.equal(told.length, 2, 'this one has it');
});

test('what a disk without room could not keep is put at the next look', async () => {
  const node = nodeWith(undefined);
  const told: JsonObject[] = [];
  let isFull = true;
  const outbox = {
    put(entry: UpwardEntry) {
      if (isFull) return Promise.reject(new Error('no space'));
      if (entry.type === 'report') told.push(entry.report);
      return Promise.resolve({ incarnation: 'o', sequence: told.length });
    },
  } as never;
  const replica = { cursor: undefined, get: () => node } as unknown as Replica;
  const reporter = createNodeReporter({ replica, outbox }, options);
  const now = { conditions: [], power: 'battery' } as const;
  await assert.rejects(reporter.changed(now));
  isFull = false;
  await reporter.changed(now);
  await reporter.changed(now);
  assert.equal(told.length, 1);
});
