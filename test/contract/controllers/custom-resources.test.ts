import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ApiObject,
  type CustomResourceDefinition,
  type GroupVersionResource,
  isConditionTrue,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

const gadgets: GroupVersionResource = { group: 'tools.example', version: 'v1', plural: 'gadgets' };
const definitions = resources.customResourceDefinitions;

function gadgetDefinition(plural = 'gadgets', kind = 'Gadget'): ApiObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.tools.example` },
    spec: {
      group: 'tools.example',
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec: { type: 'object', properties: { n: { type: 'integer' } } } },
            },
          },
        },
      ],
    },
  };
}

function gadget(name: string, metadata: object = {}): ApiObject {
  return {
    apiVersion: 'tools.example/v1',
    kind: 'Gadget',
    metadata: { name, namespace: 'default', ...metadata },
    spec: { n: 1 },
  };
}

async function withControlPlane(run: (plane: ControlPlane) => Promise<void>): Promise<void> {
  const plane = await openControlPlane(1);
  try {
    await run(plane);
  } finally {
    await plane.close();
  }
}

function isThere(
  plane: ControlPlane,
  resource: GroupVersionResource,
  name: string,
  namespace = 'default',
): Promise<boolean> {
  return plane.act(
    plane.client.get(resource, namespace, name).then(
      () => true,
      (error) => {
        if (error instanceof StatusError && error.reason === 'NotFound') return false;
        throw error;
      },
    ),
  );
}

async function establish(plane: ControlPlane, definition = gadgetDefinition()): Promise<void> {
  await plane.act(plane.client.create(definitions, definition));
  await plane.until('the kind is established', async () => {
    const found = await plane.act(plane.client.get(definitions, '', definition.metadata.name));
    return isConditionTrue(found as CustomResourceDefinition, 'Established');
  });
}

test('a kind is served once it is established, also after the server has died', () =>
  withControlPlane(async (plane) => {
    await establish(plane);
    await plane.act(plane.client.create(gadgets, gadget('one')));
    await plane.restart();
    assert.equal((await plane.list(gadgets)).length, 1);
    await plane.act(plane.client.create(gadgets, gadget('two')));
    assert.equal((await plane.list(gadgets)).length, 2);
  }));

test('of two kinds of one name the second waits until the first has gone', () =>
  withControlPlane(async (plane) => {
    await establish(plane);
    const rival = gadgetDefinition('gizmos', 'Gadget');
    await plane.act(plane.client.create(definitions, rival));
    const gizmos = { ...gadgets, plural: 'gizmos' };
    await plane.until('the second is told of the conflict', async () => {
      const found = await plane.act(plane.client.get(definitions, '', rival.metadata.name));
      const { status } = found as CustomResourceDefinition;
      return status?.conditions?.some(({ reason }) => reason === 'SingularConflict') === true;
    });
    await assert.rejects(plane.act(plane.client.list(gizmos)), /could not find/);
    await plane.act(plane.client.delete(definitions, '', 'gadgets.tools.example'));
    await plane.until('the second is served', () =>
      plane.act(
        plane.client.list(gizmos).then(
          () => true,
          () => false,
        ),
      ),
    );
  }));

test('a definition takes its objects along, and waits for those that are not done', () =>
  withControlPlane(async (plane) => {
    await establish(plane);
    await plane.act(plane.client.create(gadgets, gadget('free')));
    const held = gadget('held', { finalizers: ['tools.example/work'] });
    await plane.act(plane.client.create(gadgets, held));
    await plane.act(plane.client.delete(definitions, '', 'gadgets.tools.example'));
    await plane.until('the free one is gone', async () => !(await isThere(plane, gadgets, 'free')));
    assert.equal(await isThere(plane, gadgets, 'held'), true);
    await assert.rejects(plane.act(plane.client.create(gadgets, gadget('late'))), /terminating/);
    await plane.act(
      plane.client.mergePatch(gadgets, 'default', 'held', { metadata: { finalizers: [] } }),
    );
    await plane.until('the definition is gone', async () => {
      return !(await isThere(plane, definitions, 'gadgets.tools.example', ''));
    });
    await assert.rejects(plane.act(plane.client.list(gadgets)), /could not find/);
    assert.deepEqual(plane.store.list('gadgets.tools.example'), []);
  }));

test('objects of declared kinds own and are owned, and go with their namespace', () =>
  withControlPlane(async (plane) => {
    const { client } = plane;
    await establish(plane);
    const owner = await plane.act(client.create(gadgets, gadget('owner')));
    const ownerReferences = [
      {
        apiVersion: 'tools.example/v1beta1',
        kind: 'Gadget',
        name: 'owner',
        uid: owner.metadata.uid ?? '',
      },
    ];
    const part = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'part', namespace: 'default', ownerReferences },
    };
    await plane.act(client.create(resources.configMaps, part));
    await plane.act(client.create(gadgets, gadget('child', { ownerReferences })));
    await plane.act(client.delete(gadgets, 'default', 'owner'));
    await plane.until('what it owned is gone', async () => {
      const left = [
        await isThere(plane, gadgets, 'child'),
        await isThere(plane, resources.configMaps, 'part'),
      ];
      return !left.includes(true);
    });
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'short' } };
    await plane.act(client.create(resources.namespaces, namespace));
    await plane.act(client.create(gadgets, gadget('inside', { namespace: 'short' })));
    await plane.act(client.delete(resources.namespaces, '', 'short'));
    await plane.until('the namespace is gone', async () => {
      return !(await isThere(plane, resources.namespaces, 'short', ''));
    });
    assert.deepEqual(await plane.list(gadgets, 'short'), []);
  }));
