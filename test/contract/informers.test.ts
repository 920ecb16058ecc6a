// Copies of the server's objects as a program keeps them: whole or by their metadata, in pieces.
import assert from 'node:assert/strict';
import test from 'node:test';
import { type ApiObject, resources } from '#platform/api/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createInformer, type Informer } from '#platform/reconcile/mod.ts';
import { type ControlPlane, openControlPlane } from './controllers/control-plane.ts';

const objects = 1_050;

function configMap(name: string, data = 'x', labels: Record<string, string> = {}): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', labels },
    data: { value: data },
  };
}

function informerOf(plane: ControlPlane, form?: 'metadata'): Informer {
  const { world } = plane;
  const { random } = world.host('reader').ports;
  return createInformer(plane.client, resources.configMaps, {
    ...{ timers: world.timers, random, logger: silentLogger, namespace: 'default' },
    ...(form === undefined ? {} : { form }),
  });
}

test('a list of more than one piece is whole, and so is what is kept of its metadata alone', async () => {
  const plane = await openControlPlane(11);
  for (let made = 0; made < objects; made += 50) {
    const some = Array.from({ length: 50 }, (_, index) =>
      plane.client.create(resources.configMaps, configMap(`n${made + index}`)),
    );
    await plane.act(Promise.all(some));
  }
  const whole = informerOf(plane);
  const parts = informerOf(plane, 'metadata');
  whole.start();
  parts.start();
  await plane.act(Promise.all([whole.whenSynced(), parts.whenSynced()]));
  assert.equal(whole.list().length, objects);
  assert.equal(parts.list().length, objects);

  await plane.act(
    plane.client.mergePatch(resources.configMaps, 'default', 'n7', {
      metadata: { labels: { seen: 'yes' } },
    }),
  );
  await plane.act(plane.client.delete(resources.configMaps, 'default', 'n8'));
  const isSeen = (informer: Informer): boolean =>
    informer.get('default/n7')?.metadata.labels?.['seen'] === 'yes' &&
    informer.get('default/n8') === undefined;
  await plane.until('both to have seen it', async () => isSeen(whole) && isSeen(parts));
  assert.deepEqual(whole.get('default/n7')?.['data'], { value: 'x' });
  const part = parts.get('default/n7');
  assert.deepEqual(
    [part?.kind, part?.['data'], part?.metadata.resourceVersion],
    ['PartialObjectMetadata', undefined, whole.get('default/n7')?.metadata.resourceVersion],
  );
  whole.close();
  parts.close();
  await plane.close();
});
