// Pods whose images cannot be had, with every role in virtual time: they say so, nobody
// waits behind them, and they run once the image is there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ApiObject,
  type Event,
  type Pod,
  podStatusWord,
  resources,
} from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { imageName } from './constants.ts';
import { pushExampleImage } from './example-image.ts';
import { Fleet } from './fleet.ts';
import { ensureCreated } from './operator.ts';

const limitMs = 3_600_000;
const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function podOf(name: string, image: string): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'main', image }] },
  };
}

/** What was seen: the words of each pod one after the other, and reasons of events. */
async function story(seed: number): Promise<Record<string, string[]>> {
  const world = createWorld({ seed, drainMicrotasks });
  const fleet = new Fleet(world, 2);
  const seen: Record<string, string[]> = {};
  const run = async (): Promise<void> => {
    await fleet.found();
    const { operator } = fleet;
    const look = async (): Promise<void> => {
      const { items } = await operator.persist('a list', (client) => client.list(resources.pods));
      for (const pod of items as readonly Pod[]) {
        const words = (seen[pod.metadata.name] ??= []);
        const word = podStatusWord(pod);
        if (words.at(-1) !== word) words.push(word);
      }
    };
    const lookFor = async (what: string, holds: () => boolean): Promise<void> => {
      for (let tries = 0; tries < 400; tries += 1) {
        await look();
        if (holds()) return;
        await sleep(world.timers, 250);
      }
      throw new Error(`not within 100 s: ${what}: ${JSON.stringify(seen)}`);
    };
    const is = (name: string, word: string): boolean => seen[name]?.at(-1) === word;
    await ensureCreated(operator, resources.pods, podOf('absent', 'later:latest'));
    await ensureCreated(operator, resources.pods, podOf('misnamed', 'No-Such:latest'));
    await ensureCreated(operator, resources.pods, podOf('well', `${imageName}:latest`));
    await lookFor('the words', () => {
      return (
        is('well', 'Running') &&
        is('absent', 'ImagePullBackOff') &&
        is('misnamed', 'InvalidImageName')
      );
    });
    await pushExampleImage(operator, 'later');
    await lookFor('it runs', () => is('absent', 'Running'));
    const { items } = await operator.persist('a list', (client) => client.list(resources.events));
    for (const { involvedObject, source, reason } of items as readonly Event[]) {
      if (source?.component !== 'scheduler') continue;
      (seen[`${involvedObject.name} events`] ??= []).push(reason ?? '');
    }
  };
  await world.settle(Promise.race([run(), fleet.failed]), limitMs);
  for (const [name, all] of Object.entries(seen)) if (name.endsWith(' events')) all.sort();
  return seen;
}

test('pods without their image say so and hold up nobody, and run once it is there', async () => {
  const seen = await story(61);
  const words = (name: string): readonly string[] =>
    (seen[name] ?? []).filter((word) => word !== 'Pending' && word !== 'ContainerCreating');
  assert.deepEqual(words('misnamed'), ['InvalidImageName']);
  assert.deepEqual(words('absent').slice(-2), ['ImagePullBackOff', 'Running']);
  assert.deepEqual(seen['absent events'], ['BackOff', 'Failed', 'FailedScheduling', 'Scheduled']);
  assert.deepEqual(seen['misnamed events'], ['FailedScheduling', 'InspectFailed']);
  assert.deepEqual(await story(61), seen, 'the same seed, the same story');
});
