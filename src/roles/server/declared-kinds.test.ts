import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtInDefinitions, type ResourceDefinition } from '#platform/api/mod.ts';
import { wheelDefinition } from '#platform/api/apiextensions/wheels.contract.ts';
import { type TestServer, withServer } from './harness.contract.ts';

const [region] = builtInDefinitions.filter(({ kind }) => kind === 'Region') as [ResourceDefinition];

function declared(group: string, version: string, isStored = true): ResourceDefinition {
  return {
    ...region,
    ...{ group, version, kind: 'Wheel', plural: 'wheels', singular: 'wheel' },
    declared: { by: `wheels.${group}`, isStored, isLeaving: false },
  };
}

/** Nothing is made of a kind that no definition declares, established or not. */
async function declare(server: TestServer): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const made = await server.call('POST', path, { body: wheelDefinition() });
  assert.equal(made.status, 201, made.text);
}

const wheel = (version: string): object => ({
  apiVersion: `cars.example/${version}`,
  kind: 'Wheel',
  metadata: { name: 'left' },
});

test('a kind that comes while the server runs is served, described, and goes again', () =>
  withServer(async (server) => {
    const { registry } = server.server;
    await declare(server);
    const rowsBefore = server.server.rows.length;
    const collection = '/apis/cars.example/v1/wheels';
    const status = async (path: string): Promise<number> => (await server.call('GET', path)).status;
    const indexed = async (): Promise<object> =>
      (await server.call('GET', '/openapi/v3')).json['paths'] as object;
    assert.equal(await status(collection), 404);
    const before = await indexed();

    registry.replaceDeclared('wheels.cars.example', [declared('cars.example', 'v1')]);
    const made = await server.call('POST', collection, { body: wheel('v1') });
    assert.equal(made.status, 201, made.text);
    assert.equal(await status(`${collection}/left`), 200);
    assert.equal(await status('/apis/cars.example'), 200);
    assert.equal(await status('/openapi/v3/apis/cars.example/v1'), 200);
    const during = await indexed();
    const added = Object.keys(during).filter((path) => !(path in before));
    assert.deepEqual(added, ['apis/cars.example/v1']);

    registry.replaceDeclared('wheels.cars.example', []);
    assert.equal(await status(collection), 404);
    assert.equal(await status('/openapi/v3/apis/cars.example/v1'), 404);
    assert.deepEqual(await indexed(), before);
    assert.equal(server.server.rows.length, rowsBefore);
  }));

test('all versions of a kind serve the same objects, each as its own', () =>
  withServer(async (server) => {
    const { registry } = server.server;
    await declare(server);
    const both = [declared('cars.example', 'v1beta1', false), declared('cars.example', 'v1')];
    registry.replaceDeclared('wheels.cars.example', both);
    assert.deepEqual(
      registry.groupVersions
        .filter(({ group }) => group === 'cars.example')
        .map(({ version }) => version),
      ['v1', 'v1beta1'],
    );
    assert.equal(registry.byStoreResource('wheels.cars.example'), both[1]);
    const made = await server.call('POST', '/apis/cars.example/v1/wheels', { body: wheel('v1') });
    assert.equal(made.status, 201, made.text);
    for (const version of ['v1beta1', 'v1']) {
      const list = await server.call('GET', `/apis/cars.example/${version}/wheels`);
      assert.equal((list.json['items'] as object[]).length, 1);
    }
  }));

test('who watches a kind that changes is let go, and others are not', () =>
  withServer(async (server) => {
    const { registry } = server.server;
    await declare(server);
    registry.replaceDeclared('wheels.cars.example', [declared('cars.example', 'v1')]);
    const watch = await server.watch('/apis/cars.example/v1/wheels?watch=true');
    const other = await server.watch('/apis/selvage.dev/v1/regions?watch=true');
    registry.replaceDeclared('wheels.cars.example', [declared('cars.example', 'v1')]);
    await watch.ended;
    const made = await server.call('POST', '/apis/selvage.dev/v1/regions', {
      body: { apiVersion: 'selvage.dev/v1', kind: 'Region', metadata: { name: 'north' } },
    });
    assert.equal(made.status, 201, made.text);
    assert.equal((await other.lines(1)).length, 1);
    other.close();
  }));

test('a kind whose name is taken is refused, and what was served stays', () =>
  withServer(async (server) => {
    const { registry } = server.server;
    await declare(server);
    registry.replaceDeclared('wheels.cars.example', [declared('cars.example', 'v1')]);
    const taken = { ...declared('cars.example', 'v1'), plural: 'tyres' };
    assert.throws(() => registry.replaceDeclared('tyres.cars.example', [taken]), /defined twice/);
    assert.equal(registry.byKind('cars.example', 'v1', 'Wheel')?.plural, 'wheels');
    assert.equal((await server.call('GET', '/apis/cars.example/v1/wheels')).status, 200);
  }));
