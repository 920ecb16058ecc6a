// What a full disk of the server refuses to take away, over the real store in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, type Uid, utf8 } from '#base/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { type Facet, type ObjectKey, openStore } from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import { OutboxCursors } from './outbox-cursors.ts';
import { hubIndexes } from './stored-facets.ts';
import { Terminations } from './terminations.ts';

const limitMs = 60_000;
const lookAgainWithinMs = 6_000;
const pod: ObjectKey = { resource: 'pods', namespace: 'default', name: 'a' };
const node: ObjectKey = { resource: 'nodes', namespace: '', name: 'n' };
const cursor: ObjectKey = { resource: 'outboxcursors.selvage.dev', namespace: '', name: 'n' };
const isDeleting = { deletionTimestamp: '2026-01-01T00:00:00Z' };

async function openHub() {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 7, drainMicrotasks });
  const host = world.host('server');
  const { clock, timers, random, disk, logger } = host.ports;
  const store = await world.settle(
    openStore({ disk: disk.within('log'), random, logger }, { indexes: hubIndexes }),
    limitMs,
  );
  const said: string[] = [];
  const events: EventReports = {
    record: (_component, { key }, _severity, reason) => said.push(`${reason} ${key.name}`),
    deliver: () => Promise.resolve(true),
  };
  const terminations = new Terminations({ store, clock, timers, logger, events });
  const cursors = new OutboxCursors({ store, timers, logger });
  const { capacityBytes } = host.faults;
  return {
    said,
    terminations,
    cursors,
    setFull(isFull: boolean): void {
      host.faults.capacityBytes = isFull ? host.machineDisk.tree.usedBytes() : capacityBytes;
    },
    pass: (durationMs: number) => world.run(clock.monotonicMs() + durationMs),
    async write(key: ObjectKey, facets: Partial<Record<Facet, JsonObject>>): Promise<void> {
      const uid = `uid-${key.name}` as Uid;
      const changes = Object.entries(facets).map(([facet, value]) => ({
        ...{ type: 'put' as const, key, uid, facet: facet as Facet },
        bytes: utf8(JSON.stringify(value)),
      }));
      await world.settle(
        store.transact(() => ({ changes, result: undefined })),
        limitMs,
      );
    },
    has: (key: ObjectKey): boolean => store.get(key) !== undefined,
  };
}

const podWith = (metadata: JsonObject, report: JsonObject = { status: {} }) => ({
  intent: { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [] } },
  assignment: { nodeName: 'n', images: {} },
  report,
});

test('a pod that has ended goes once there is room for its removal', async () => {
  const hub = await openHub();
  await hub.write(node, { intent: {} });
  await hub.write(pod, podWith(isDeleting, { status: {}, terminated: true }));
  hub.setFull(true);
  hub.terminations.lookAtAll();
  await hub.pass(3 * lookAgainWithinMs);
  assert.ok(hub.has(pod), 'the disk takes nothing');
  hub.setFull(false);
  await hub.pass(lookAgainWithinMs);
  assert.ok(!hub.has(pod));
});

test('the pod of a deleted node goes once there is room, and that is said when it has gone', async () => {
  const hub = await openHub();
  await hub.write(pod, podWith({}));
  hub.setFull(true);
  hub.terminations.lookAtAll();
  await hub.pass(3 * lookAgainWithinMs);
  assert.deepEqual([hub.has(pod), hub.said], [true, []]);
  hub.setFull(false);
  await hub.pass(lookAgainWithinMs);
  assert.deepEqual([hub.has(pod), hub.said], [false, ['NodeDeleted a']]);
});

test('the cursor of a deleted node goes once there is room, that of a present one stays', async () => {
  const hub = await openHub();
  const present = { ...cursor, name: 'there' };
  await hub.write({ ...node, name: 'there' }, { intent: {} });
  for (const key of [cursor, present]) await hub.write(key, { intent: { sequence: 1 } });
  hub.setFull(true);
  hub.cursors.forget('n');
  await hub.pass(lookAgainWithinMs);
  assert.ok(hub.has(cursor));
  hub.setFull(false);
  await hub.pass(lookAgainWithinMs);
  assert.deepEqual([hub.has(cursor), hub.has(present)], [false, true]);
});

test('a hub that has closed looks no more', async () => {
  const hub = await openHub();
  await hub.write(pod, podWith(isDeleting, { status: {}, terminated: true }));
  await hub.write(cursor, { intent: { sequence: 1 } });
  hub.setFull(true);
  hub.terminations.lookAtAll();
  hub.cursors.lookAtAll();
  await hub.pass(100);
  hub.terminations.close();
  hub.cursors.close();
  hub.setFull(false);
  await hub.pass(3 * lookAgainWithinMs);
  assert.deepEqual([hub.has(pod), hub.has(cursor)], [true, true]);
});
