import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, type Uid, utf8 } from '#base/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createWorld, type Host } from '#platform/sim/mod.ts';
import { openStore, type Store } from '#platform/store/mod.ts';
import type { Outbox } from '#platform/sync/mod.ts';
import { Truth } from '../truth.ts';
import { OutboxDelivers } from './outbox-delivers.ts';

const limitMs = 60_000;
const key = { resource: 'nodes', namespace: '', name: 'mill-1' } as const;
const uid = 'uid-mill-1' as Uid;

/** Takes entries as an outbox does, and delivers nothing by itself. */
function outboxOn(host: Host): Outbox {
  let position = 0;
  return {
    pendingCount: 0,
    put: async (entry) => {
      position += 1;
      const path = `selvage/agent/outbox/log/${position}`;
      await host.ports.disk.makeDirectory('selvage/agent/outbox/log', 0o700);
      await host.ports.disk.writeFileAtomic(path, utf8(JSON.stringify(entry)), 0o600);
      return { incarnation: 'first', sequence: position };
    },
    declareLoss: async () => {},
    deliver: () => {},
    close: async () => {},
  };
}

async function arrive(store: Store, report: JsonObject): Promise<void> {
  const bytes = utf8(JSON.stringify(report));
  const [intent, told] = (['intent', 'report'] as const).map(
    (facet) => ({ type: 'put', key, uid, facet, bytes }) as const,
  );
  const changes = store.get(key) === undefined ? [intent, told] : [told];
  await store.transact(() => ({ changes: changes.flatMap((change) => change ?? []), result: 0 }));
}

/** What is missing after each step: what was put, or what arrived. */
async function missingAfter(
  steps: readonly ['puts' | 'arrives', JsonObject][],
): Promise<(string | undefined)[]> {
  const world = createWorld({
    seed: 1,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const host = world.host('mill-1');
  const play = async (): Promise<(string | undefined)[]> => {
    const store = await openStore({ ...world.host('server').ports, logger: silentLogger });
    const truth = new Truth();
    const checker = new OutboxDelivers(truth, (_, why) => assert.fail(why));
    truth.attach(store);
    const outbox = checker.watch(outboxOn(host), host);
    const missing: (string | undefined)[] = [];
    for (const [step, report] of steps) {
      if (step === 'arrives') await arrive(store, report);
      else await outbox.put({ type: 'report', key, uid, report });
      missing.push(checker.missing()?.replace(/:.*/, ''));
    }
    await store.close();
    return missing;
  };
  return await world.settle(play(), limitMs);
}

const lost = 'the outbox of mill-1 took a report on nodes//mill-1 that never arrived';
const [first, second] = [{ status: 'first' }, { status: 'second' }];

test('a report that was put and did not arrive is missing until it arrives', async () => {
  const missing = await missingAfter([
    ['puts', first],
    ['arrives', first],
    ['puts', second],
    ['arrives', second],
  ]);
  assert.deepEqual(missing, [undefined, undefined, lost, undefined]);
});

test('a report put again word for word is not missing: the store had it already', async () => {
  // Found by seed 1795906986: an agent that had started again said what it had said before.
  const missing = await missingAfter([
    ['puts', first],
    ['arrives', first],
    ['puts', first],
    ['puts', second],
    ['puts', first],
    ['arrives', second],
  ]);
  assert.deepEqual(missing, [undefined, undefined, undefined, lost, undefined, lost]);
});
