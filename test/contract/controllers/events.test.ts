// Events that an agent's outbox delivers, against the real server: again, out of a
// crash, by two links at the same time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resources } from '#platform/api/mod.ts';
import { deliverEvent } from '#platform/client/mod.ts';
import { openControlPlane } from './control-plane.ts';

test('an event that is delivered again is counted once, one that happened again twice', async () => {
  const plane = await openControlPlane(1);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', namespace: 'default', uid: 'b9c7e0f4-0000-4000-8000-000000000001' },
  };
  const report = { regarding: pod, severity: 'Normal', reason: 'Pulling', message: 'x' } as const;
  const teller = { component: 'agent', host: 'node-1' };
  const deliver = (incarnation: string, sequence: number): Promise<void> =>
    deliverEvent(
      plane.client,
      report,
      teller,
      { incarnation, sequence },
      `2026-01-01T00:00:0${sequence}Z`,
    );
  const state = async (): Promise<readonly unknown[]> => {
    const { items } = await plane.act(plane.client.list(resources.events));
    return items.map((event) => [event['count'], event['firstTimestamp'], event['lastTimestamp']]);
  };
  const first = '2026-01-01T00:00:02Z';
  await plane.act(deliver('one', 2));
  await plane.act(deliver('one', 2));
  assert.deepEqual(await state(), [[1, first, first]]);
  await plane.act(deliver('one', 5));
  await plane.act(Promise.all([deliver('one', 2), deliver('one', 5), deliver('one', 6)]));
  assert.deepEqual(await state(), [[3, first, '2026-01-01T00:00:06Z']]);
  // An outbox that was lost with its disk begins anew.
  await plane.act(deliver('two', 1));
  assert.deepEqual(await state(), [[4, first, '2026-01-01T00:00:01Z']]);
  await plane.close();
});
