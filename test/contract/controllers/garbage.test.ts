import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ApiObject,
  type CustomResourceDefinition,
  type GroupVersionResource,
  isConditionTrue,
  type OwnerReference,
  resources,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

const gadgets: GroupVersionResource = { group: 'tools.example', version: 'v1', plural: 'gadgets' };

function configMap(name: string, metadata: object = {}): ApiObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata } };
}

function clusterRole(name: string, owner: OwnerReference): ApiObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name, ownerReferences: [owner] },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
  };
}

function referenceTo({ apiVersion, kind, metadata }: ApiObject): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '' };
}

function create(
  plane: ControlPlane,
  resource: GroupVersionResource,
  object: ApiObject,
): Promise<ApiObject> {
  return plane.act(plane.client.create(resource, object));
}

async function namesOf(plane: ControlPlane, kind: GroupVersionResource): Promise<string[]> {
  const { items } = await plane.act(plane.client.list(kind));
  return items.map(({ metadata }) => metadata.name);
}

/** Who was told that the namespace of its owner is wrong. */
async function told(plane: ControlPlane): Promise<unknown[]> {
  const { items } = await plane.act(plane.client.list(resources.events));
  return items
    .filter((event) => event['reason'] === 'OwnerRefInvalidNamespace')
    .map((event) => {
      const { kind, name } = event['involvedObject'] as { kind: string; name: string };
      return [event['type'], kind, name];
    });
}

/** Garbage shows up by what comes after it: a dependent of nobody, judged in its turn. */
async function collectGarbage(plane: ControlPlane, round: string): Promise<void> {
  const nobody = { apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'none' };
  const canary = configMap(round, { namespace: 'default', ownerReferences: [nobody] });
  await plane.act(plane.client.create(resources.configMaps, canary));
  await plane.until('the garbage is collected', async () => {
    return !(await namesOf(plane, resources.configMaps)).includes(round);
  });
}

async function establishGadgets(plane: ControlPlane): Promise<void> {
  const names = { plural: 'gadgets', kind: 'Gadget' };
  const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } };
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'gadgets.tools.example' },
    spec: { group: 'tools.example', scope: 'Namespaced', names, versions: [version] },
  };
  const definitions = resources.customResourceDefinitions;
  await plane.act(plane.client.create(definitions, definition));
  await plane.until('the kind is established', async () => {
    const found = await plane.act(plane.client.get(definitions, '', definition.metadata.name));
    return isConditionTrue(found as CustomResourceDefinition, 'Established');
  });
}

test('what is in no namespace stays when its owner is in one, is told so, and holds no owner back', async () => {
  const plane = await openControlPlane(1);
  const owner = await create(
    plane,
    resources.configMaps,
    configMap('owner', { namespace: 'default' }),
  );
  const reference = { ...referenceTo(owner), blockOwnerDeletion: true };
  await create(plane, resources.clusterRoles, clusterRole('dependent', reference));
  await plane.until('it is told', async () => (await told(plane)).length > 0);
  await collectGarbage(plane, 'first');
  assert.deepEqual(await told(plane), [['Warning', 'ClusterRole', 'dependent']]);

  const propagationPolicy = 'Foreground';
  await plane.act(
    plane.client.delete(resources.configMaps, 'default', 'owner', { propagationPolicy }),
  );
  await plane.until('the owner goes', async () => {
    return !(await namesOf(plane, resources.configMaps)).includes('owner');
  });
  await collectGarbage(plane, 'second');
  assert.ok((await namesOf(plane, resources.clusterRoles)).includes('dependent'));
  await plane.close();
});

test('what is owned from another namespace goes, and is told why', async () => {
  const plane = await openControlPlane(2);
  const there = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'there' } };
  await create(plane, resources.namespaces, there);
  const owner = await create(
    plane,
    resources.configMaps,
    configMap('owner', { namespace: 'there' }),
  );
  await collectGarbage(plane, 'first');
  const ownerReferences = [referenceTo(owner)];
  const dependent = configMap('dependent', { namespace: 'default', ownerReferences });
  await create(plane, resources.configMaps, dependent);
  await plane.until('it is told', async () => (await told(plane)).length > 0);
  assert.deepEqual(await told(plane), [['Warning', 'ConfigMap', 'dependent']]);
  await plane.until('it goes', async () => {
    return !(await namesOf(plane, resources.configMaps)).includes('dependent');
  });
  await plane.close();
});

test('what is owned by a kind that is not served yet stays, also while the server starts', async () => {
  const plane = await openControlPlane(3);
  const stranger = { apiVersion: 'tools.example/v1', kind: 'Gadget', name: 'owner', uid: 'early' };
  const early = { namespace: 'default', ownerReferences: [stranger] };
  await create(plane, resources.configMaps, configMap('early', early));
  await create(plane, resources.clusterRoles, clusterRole('early', stranger));
  await collectGarbage(plane, 'before');
  assert.ok((await namesOf(plane, resources.configMaps)).includes('early'));

  await establishGadgets(plane);
  await plane.until('its owner is found not to be there', async () => {
    return !(await namesOf(plane, resources.configMaps)).includes('early');
  });
  assert.ok((await namesOf(plane, resources.clusterRoles)).includes('early'));

  const gadget = { apiVersion: 'tools.example/v1', kind: 'Gadget' };
  const owner = await create(plane, gadgets, {
    ...gadget,
    metadata: { name: 'owner', namespace: 'default' },
  });
  const owned = { namespace: 'default', ownerReferences: [referenceTo(owner)] };
  await create(plane, resources.configMaps, configMap('owned', owned));
  await plane.restart();
  await collectGarbage(plane, 'after');
  assert.ok((await namesOf(plane, resources.configMaps)).includes('owned'));
  await plane.close();
});
