/**
 * Two clients that increment one counter under optimistic concurrency, often at the
 * same moment: what each was told is committed must be in the sum.
 */
import { isJsonObject } from '#base/mod.ts';
import { resources } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { tallyKey } from './constants.ts';
import type { Fleet } from './fleet.ts';
import { ensureCreated, isWorthAnotherTry } from './operator.ts';
import { invariants, type Violate } from './invariants/invariants.ts';

const clientCount = 2;
const roundsApartMs = { least: 5_000, most: 40_000 };
const incrementsPerRound = 2;

export interface Tally {
  /** Increments that were acknowledged. */
  readonly acknowledged: () => number;
  /** Compares the counter with what was acknowledged. */
  requireSum(): Promise<void>;
  close(): void;
}

export async function startTally(fleet: Fleet, violate: Violate): Promise<Tally> {
  const { operator } = fleet;
  const { timers } = fleet.operatorHost.ports;
  const random = fleet.world.random('tally');
  const { namespace, name } = tallyKey;
  let acknowledged = 0;
  const state = { isClosed: false };
  await ensureCreated(operator, resources.configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
    data: { count: '0', by: '' },
  });

  const countIn = (data: unknown): number => Number(isJsonObject(data) ? data['count'] : undefined);

  const increment = async (by: string): Promise<void> => {
    try {
      const now = await operator.client.get(resources.configMaps, namespace, name);
      const data = { count: String(countIn(now['data']) + 1), by };
      await operator.client.update(resources.configMaps, { ...now, data });
      acknowledged += 1;
    } catch (thrown) {
      // Another client was first, or nobody knows: the next increment begins with a look.
      if (!isWorthAnotherTry(thrown)) throw thrown;
    }
  };

  const run = async (): Promise<void> => {
    while (!state.isClosed) {
      const { least, most } = roundsApartMs;
      await sleep(timers, fleet.pace.stretch * random.between(least, most));
      const clients = Array.from({ length: clientCount }, async (_, index) => {
        for (let round = 0; round < incrementsPerRound && !state.isClosed; round += 1) {
          await increment(`client-${index}-${acknowledged}`);
        }
      });
      await Promise.all(clients);
    }
  };
  run().catch((thrown: unknown) => fleet.fail('the tally', thrown));

  return {
    acknowledged: () => acknowledged,
    async requireSum() {
      const before = acknowledged;
      const found = await operator.persist('read the tally', (client) =>
        client.get(resources.configMaps, namespace, name),
      );
      const count = countIn(found['data']);
      if (count >= before) return;
      const why = `${before} increments of the tally were acknowledged, and it says ${count}`;
      violate(invariants.acknowledgedSurvives, why);
    },
    close() {
      state.isClosed = true;
    },
  };
}
