// Copies of the server's objects as a program keeps them: whole or by their metadata, in pieces.
import assert from 'node:assert/strict';
import test from 'node:test';
import { type ApiObject, resources } from '#platform/api/mod.ts';
import type { Client } from '#platform/client/mod.ts';
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

interface Following {
  readonly client: Client;
  /** Kills the server and starts it again; the connections to it break. */
  restart(): Promise<void>;
  lists(): number;
}

/** A client of whichever server runs. */
function following(plane: ControlPlane): Following {
  let lists = 0;
  let breakConnection = (): void => {};
  const client: Client = {
    ...plane.client,
    list(...words) {
      lists += 1;
      return plane.client.list(...words);
    },
    watch(resource, options, handlers) {
      const watch = plane.client.watch(resource, options, handlers);
      breakConnection = () => {
        watch.close();
        handlers.onEnd(new Error('the connection broke'));
      };
      return watch;
    },
  };
  return {
    client,
    async restart() {
      await plane.restart();
      breakConnection();
      breakConnection = () => {};
    },
    lists: () => lists,
  };
}

function informerOf(
  plane: ControlPlane,
  form?: 'metadata',
  client: Client = plane.client,
): Informer {
  const { world } = plane;
  const { random } = world.host('reader').ports;
  return createInformer(client, resources.configMaps, {
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

test('a copy goes on where it was when the server is killed, and begins anew where history is gone', async () => {
  const plane = await openControlPlane(12);
  const followed = following(plane);
  const informer = informerOf(plane, undefined, followed.client);
  const changes: string[] = [];
  informer.onChange(({ type, object }) => {
    if (object.kind === 'ConfigMap' && object.metadata.name.startsWith('n')) {
      changes.push(`${type} ${object.metadata.name}`);
    }
  });
  const make = (name: string): Promise<ApiObject> =>
    plane.act(plane.client.create(resources.configMaps, configMap(name)));
  const remove = (name: string): Promise<void> =>
    plane.act(plane.client.delete(resources.configMaps, 'default', name));
  const seen = (name: string): Promise<void> =>
    plane.until(`${name} to be seen`, async () => informer.get(`default/${name}`) !== undefined);

  informer.start();
  await plane.act(informer.whenSynced());
  await make('n1');
  await make('n2');
  await seen('n2');
  await followed.restart();
  await remove('n1');
  await make('n3');
  await seen('n3');
  assert.deepEqual(
    [followed.lists(), informer.get('default/n1')],
    [1, undefined],
    'it went on by its watch',
  );

  // What happens while nobody watches is in no history that is left.
  await plane.restart();
  await remove('n2');
  await make('n4');
  await plane.act(plane.store.compact());
  await followed.restart();
  await make('n5');
  await seen('n5');
  assert.equal(followed.lists(), 2, 'it listed again');
  assert.deepEqual(
    informer
      .list()
      .map(({ metadata }) => metadata.name)
      .filter((name) => name.startsWith('n'))
      .toSorted(),
    ['n3', 'n4', 'n5'],
  );
  assert.deepEqual(changes.toSorted(), [
    'added n1',
    'added n2',
    'added n3',
    'added n4',
    'added n5',
    'deleted n1',
    'deleted n2',
  ]);
  informer.close();
  await plane.close();
});
