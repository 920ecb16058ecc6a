// What the hub takes of reports, over the real store in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { type ObjectKey, openStore, type StoredObject } from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import { Reports } from './reports.ts';
import { claimsResource, hubIndexes, nodeKey, readFacet } from './stored-facets.ts';

const limitMs = 60_000;
const podKey = { resource: 'pods', namespace: 'default', name: 'p' };
const claimKey = { resource: claimsResource, namespace: 'default', name: 'c' };

async function openReports() {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 7, drainMicrotasks });
  const { clock, random, disk, logger } = world.host('server').ports;
  const opening = openStore({ disk: disk.within('log'), random, logger }, { indexes: hubIndexes });
  const store = await world.settle(opening, limitMs);
  for (const key of [nodeKey('n'), podKey, claimKey]) {
    const uid = `uid-of-${key.name}` as StoredObject['uid'];
    const intent = { metadata: { name: key.name } };
    const facets = { intent, ...(key.namespace === '' ? {} : { assignment: { nodeName: 'n' } }) };
    const changes = Object.entries(facets).map(([facet, value]) => {
      const bytes = utf8(JSON.stringify(value));
      return { type: 'put' as const, key, uid, facet: facet as 'intent', bytes };
    });
    await world.settle(
      store.transact(() => ({ changes, result: undefined })),
      limitMs,
    );
  }
  const told: string[] = [];
  const events: EventReports = {
    record: (_component, _regarding, _severity, reason, message) => {
      told.push(`${reason} ${message}`);
    },
    deliver: async () => true,
  };
  const reports = new Reports({ store, random, clock, logger, events, onNodeReport: () => {} });
  let sequence = 0;
  const apply = async (key: ObjectKey, report: JsonObject): Promise<string[]> => {
    sequence += 1;
    const uid = `uid-of-${key.name}`;
    const entry = { type: 'report' as const, key, uid, report };
    await world.settle(reports.apply('n', 'i', [{ sequence, entry }], sequence), limitMs);
    return told.splice(0);
  };
  const stored = (key: ObjectKey): JsonObject | undefined => {
    const object = store.get(key);
    return object && readFacet(object, 'report');
  };
  return { apply, stored };
}

const nodeReport = {
  status: { capacity: { cpu: '1' } },
  labels: { 'kubernetes.io/arch': 'amd64' },
  runtimes: ['script'],
  platforms: ['script/javascript'],
};

test('every field of a report is looked at: one of a wrong type refuses it, by name', async () => {
  const { apply, stored } = await openReports();
  const wrong: readonly (readonly [ObjectKey, JsonObject, field: string])[] = [
    [nodeKey('n'), {}, 'status'],
    [nodeKey('n'), { ...nodeReport, status: { conditions: 5 } }, 'status.conditions'],
    [nodeKey('n'), { ...nodeReport, runtimes: 5 }, 'runtimes'],
    [nodeKey('n'), { ...nodeReport, runtimes: ['a b'] }, 'runtimes[0]'],
    [nodeKey('n'), { ...nodeReport, platforms: [null] }, 'platforms[0]'],
    [nodeKey('n'), { ...nodeReport, labels: 'x' }, 'labels'],
    [nodeKey('n'), { ...nodeReport, labels: { 'kubernetes.io/os': 1 } }, 'labels.kubernetes.io/os'],
    [podKey, { status: {}, terminated: 'yes' }, 'terminated'],
    [podKey, { status: {}, answersLost: { id: 1, isRunning: true } }, 'answersLost.id'],
    [podKey, { status: { phase: 7 } }, 'status.phase'],
    [claimKey, { status: {}, isReleased: 1 }, 'isReleased'],
  ];
  for (const [key, report, field] of wrong) {
    const told = await apply(key, report);
    assert.equal(told.length, 1, field);
    assert.match(told[0] ?? '', /^ReportRefused the report on .* is not valid: /);
    assert.ok(told[0]?.includes(`is not valid: ${field}: `), told[0]);
    assert.equal(stored(key), undefined, field);
  }
});

test('what agents send is taken as it is, and of what is not known nothing is stored', async () => {
  const { apply, stored } = await openReports();
  const right: readonly (readonly [ObjectKey, JsonObject])[] = [
    [nodeKey('n'), nodeReport],
    [podKey, { status: { phase: 'Failed' }, terminated: true }],
    [podKey, { status: {}, answersLost: { id: 'loss', isRunning: false } }],
    [claimKey, { status: {}, isReleased: true }],
  ];
  for (const [key, report] of right) {
    assert.deepEqual(await apply(key, report), []);
    assert.deepEqual(stored(key), report);
  }
  const labels = { ...nodeReport.labels, 'selvage.dev/site': 'taken' };
  const [told = ''] = await apply(nodeKey('n'), { ...nodeReport, labels, later: [{}] });
  assert.match(told, /^ReportRefused .* left out: labels.selvage.dev\/site, later$/);
  assert.deepEqual(stored(nodeKey('n')), nodeReport);
});
