// oxlint-disable typescript/no-explicit-any -- tests read deep into JSON that was just made
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '#base/mod.ts';
import { wheelDefinition, wheelSchema } from '#platform/api/apiextensions/wheels.contract.ts';
import { type TestServer, withServer } from './harness.contract.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const wheels = '/apis/cars.example/v1/namespaces/default/wheels';
const older = '/apis/cars.example/v1beta1/namespaces/default/wheels';

/** As the controller does: these tests are about the server alone. */
async function establish(server: TestServer, definition: JsonObject): Promise<void> {
  const made = await server.call('POST', definitions, { body: definition });
  assert.equal(made.status, 201, made.text);
  const { name } = made.json['metadata'] as { name: string };
  const { names } = made.json['spec'] as { names: JsonObject };
  const status = {
    conditions: [{ type: 'Established', status: 'True' }],
    acceptedNames: names,
    storedVersions: ['v1'],
  };
  const told = await server.call('PUT', `${definitions}/${name}/status`, {
    body: { ...made.json, status },
  });
  assert.equal(told.status, 200, told.text);
}

function wheel(name: string, spec: JsonObject, apiVersion = 'cars.example/v1'): JsonObject {
  return { apiVersion, kind: 'Wheel', metadata: { name }, spec };
}

const withWheels = (run: (server: TestServer) => Promise<void>): Promise<void> =>
  withServer(async (server) => {
    await establish(server, wheelDefinition());
    await run(server);
  });

test('an object of a declared kind is defaulted, pruned and served like any other', () =>
  withWheels(async (server) => {
    const body = {
      ...wheel('left', { size: 17, unknown: 1, note: null, extra: { a: [null, { b: 1 }] } }),
      stray: true,
    };
    const strict = await server.call('POST', `${wheels}?fieldValidation=Strict`, { body });
    assert.equal(strict.status, 400);
    assert.match(strict.text, /unknown field \\"spec.unknown\\", unknown field \\"stray\\"/);
    const made = await server.call('POST', wheels, { body });
    assert.equal(made.status, 201, made.text);
    assert.match(made.headers['warning'] ?? '', /unknown field/);
    assert.deepEqual(made.json['spec'], {
      size: 17,
      note: null,
      extra: { a: [null, { b: 1 }] },
      colour: 'black',
      replicas: 1,
    });
    assert.equal((made.json['metadata'] as any).generation, 1);
    const get = await server.call('GET', `${wheels}/left`);
    assert.deepEqual(get.json, made.json);
    const patched = await server.call('PATCH', `${wheels}/left`, {
      body: { spec: { replicas: 3, bolts: [{ name: 'a' }] } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.equal(patched.status, 200, patched.text);
    assert.equal((patched.json['metadata'] as any).generation, 2);
    assert.deepEqual((patched.json['spec'] as any).bolts, [{ name: 'a', torque: 100 }]);
    const strategic = await server.call('PATCH', `${wheels}/left`, {
      body: { spec: { replicas: 4 } },
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    });
    assert.equal(strategic.status, 415, strategic.text);
  }));

test('what a schema refuses is refused with the field and what would be right', () =>
  withWheels(async (server) => {
    const cases: [JsonObject, RegExp][] = [
      [{}, /spec.size: Required value/],
      [{ size: 9 }, /spec.size: Invalid value: 9: must be greater than or equal to 10/],
      [{ size: '17' }, /spec.size: Invalid value: \\"17\\": must be a whole number/],
      [
        { size: 17, colour: 'red' },
        /supported values: \\"black\\", \\"silver\\"|Unsupported value/,
      ],
      [{ size: 17, maker: 'A' }, /spec.maker: Invalid value: \\"A\\": must match the pattern/],
      [{ size: 17, maker: 'a'.repeat(21) }, /spec.maker: Too long: must have at most 20/],
      [
        { size: 17, load: true },
        /spec.load: Invalid value: true: must be a whole number or a string/,
      ],
      [{ size: 17, bolts: [{ name: 'a' }, { name: 'a' }] }, /spec.bolts\[1\]: Duplicate value/],
      [{ size: 17, bolts: [{}] }, /spec.bolts\[0\].name: Required value/],
      [{ size: 17, labels: { a: '123456789' } }, /spec.labels\[a\]: Too long/],
      [{ size: 17, template: { spec: {} } }, /spec.template.apiVersion: Required value/],
      [{ size: 17, pressure: 1.2 }, /spec.pressure: Invalid value: 1.2: must be a multiple of 0.5/],
      [{ size: 17, pressure: 0 }, /must be greater than 0/],
      [{ size: 17, since: 'yesterday' }, /spec.since: Invalid value.*RFC 3339/],
      [{ size: 17, kindOf: {} }, /spec.kindOf: Invalid value: an object: must satisfy exactly one/],
      [{ size: 17, kindOf: { summer: true, winter: true } }, /it satisfies 2 of them/],
      [{ size: 21, maker: 'acme' }, /spec.size: Invalid value.*acme makes no wheels of 21/],
    ];
    for (const [spec, expected] of cases) {
      const answer = await server.call('POST', wheels, { body: wheel('bad', spec) });
      assert.equal(answer.status, 422, `${JSON.stringify(spec)}: ${answer.text}`);
      assert.match(answer.text, expected);
    }
    const good = wheel('good', { size: 17, load: '80%', kindOf: { summer: true }, pressure: 2.5 });
    assert.equal((await server.call('POST', wheels, { body: good })).status, 201);
  }));

test('rules with oldSelf hold changes, entry by entry in lists with keys', () =>
  withWheels(async (server) => {
    const spec = { size: 17, bolts: [{ name: 'a', torque: 90 }, { name: 'b' }] };
    assert.equal((await server.call('POST', wheels, { body: wheel('w', spec) })).status, 201);
    const put = (change: JsonObject) =>
      server.call('PUT', `${wheels}/w`, { body: wheel('w', { ...spec, ...change }) });
    const resized = await put({ size: 18 });
    assert.equal(resized.status, 422);
    assert.match(resized.text, /spec: Invalid value: an object: the size cannot be changed/);
    const loosened = await put({ bolts: [{ name: 'b' }, { name: 'a', torque: 80 }] });
    assert.match(
      loosened.text,
      /spec.bolts\[1\]: Invalid value: an object: a bolt is never loosened/,
    );
    const tightened = await put({
      bolts: [{ name: 'b' }, { name: 'a', torque: 95 }, { name: 'c' }],
    });
    assert.equal(tightened.status, 200, tightened.text);
  }));

test('status and scale are written apart; a kind without the subresource takes both at once', () =>
  withWheels(async (server) => {
    const whole = { ...wheel('w', { size: 17 }), status: { replicas: 5 } };
    const made = await server.call('POST', wheels, { body: whole });
    assert.equal(made.json['status'], undefined);
    const status = {
      replicas: 2,
      selector: 'a=b',
      conditions: [{ type: 'Ready', status: 'True' }],
    };
    const told = await server.call('PUT', `${wheels}/w/status`, {
      body: { ...made.json, spec: { size: 18 }, status },
    });
    assert.equal(told.status, 200, told.text);
    assert.deepEqual([told.json['status'], (told.json['spec'] as any).size], [status, 17]);
    const scaled = await server.call('PATCH', `${wheels}/w/scale`, {
      body: { spec: { replicas: 7 } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.deepEqual(
      [scaled.json['spec'], scaled.json['status']],
      [{ replicas: 7 }, { replicas: 2, selector: 'a=b' }],
    );
    const olderMade = await server.call('PUT', `${older}/w`, {
      body: { ...wheel('w', { size: 17 }, 'cars.example/v1beta1') },
    });
    assert.equal(olderMade.status, 200, olderMade.text);
    assert.equal((await server.call('GET', `${older}/w/status`)).status, 404);
  }));

test('each version shows the same object in its own way', () =>
  withWheels(async (server) => {
    await server.call('POST', wheels, { body: wheel('w', { size: 17, maker: 'acme' }) });
    const old = await server.call('GET', `${older}/w`);
    assert.deepEqual(
      [old.json['apiVersion'], old.json['spec']],
      ['cars.example/v1beta1', { size: 17, rim: 'steel' }],
    );
    const made = await server.call('POST', older, {
      body: wheel('x', { size: 12, rim: 'alloy' }, 'cars.example/v1beta1'),
    });
    assert.equal(made.status, 201, made.text);
    assert.match(made.headers['warning'] ?? '', /cars.example\/v1beta1 Wheel is deprecated/);
    const asNew = await server.call('GET', `${wheels}/x`);
    assert.deepEqual(asNew.json['spec'], { size: 12, colour: 'black', replicas: 1 });
    const list = await server.call('GET', wheels);
    assert.deepEqual([list.json['kind'], (list.json['items'] as any[]).length], ['SetOfWheels', 2]);
  }));

test('tables, selectors, discovery and OpenAPI show what the definition says', () =>
  withWheels(async (server) => {
    await server.call('POST', wheels, { body: wheel('w', { size: 17, colour: 'silver' }) });
    await server.call('POST', wheels, { body: wheel('x', { size: 18 }) });
    const table = await server.call('GET', `${wheels}?fieldSelector=spec.colour%3Dsilver`, {
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    });
    const columns = table.json['columnDefinitions'] as any[];
    assert.deepEqual(
      columns.map(({ name, priority }) => `${name} ${priority}`),
      ['Name 0', 'Size 0', 'Ready 0', 'Maker 1', 'Age 0'],
    );
    const rows = table.json['rows'] as any[];
    assert.deepEqual(
      rows.map(({ cells }) => cells.slice(0, 4)),
      [['w', 17, null, null]],
    );
    const group = await server.call('GET', '/apis/cars.example');
    assert.equal((group.json['preferredVersion'] as any).version, 'v1');
    const resources = await server.call('GET', '/apis/cars.example/v1');
    const names = (resources.json['resources'] as any[]).map(({ name }) => name);
    assert.deepEqual(names, ['wheels', 'wheels/status', 'wheels/scale']);
    const openApi = await server.call('GET', '/openapi/v3/apis/cars.example/v1');
    const served = (openApi.json as any).components.schemas['example.cars.v1.Wheel'];
    assert.equal(served.description, 'A wheel of a car.');
    const { size, maker, bolts, load } = served.properties.spec.properties;
    assert.deepEqual(size, {
      type: 'integer',
      minimum: 10,
      maximum: 24,
      description: 'In inches.',
    });
    assert.equal(maker.pattern, '^[a-z][a-z-]*$');
    assert.equal(load.anyOf.length, 2);
    assert.equal(bolts.items['x-kubernetes-validations'].length, 1);
  }));

test('a change of the definition is there for the next request, and objects follow it', () =>
  withWheels(async (server) => {
    await server.call('POST', wheels, { body: wheel('w', { size: 17, maker: 'acme' }) });
    const current = (await server.call('GET', `${definitions}/wheels.cars.example`)).json as any;
    const [first, second] = current.spec.versions;
    delete first.schema.openAPIV3Schema.properties.spec.properties.maker;
    first.schema.openAPIV3Schema.properties.spec['x-kubernetes-validations'].shift();
    first.schema.openAPIV3Schema.properties.spec.properties.tread = { type: 'integer', default: 8 };
    first.additionalPrinterColumns = [{ name: 'Tread', type: 'integer', jsonPath: '.spec.tread' }];
    const third = { ...second, name: 'v2', deprecated: false };
    current.spec.versions = [first, third];
    const changed = await server.call('PUT', `${definitions}/wheels.cars.example`, {
      body: current,
    });
    assert.equal(changed.status, 200, changed.text);
    const { spec } = (await server.call('GET', `${wheels}/w`)).json as any;
    assert.deepEqual([spec.maker, spec.tread], [undefined, 8]);
    assert.equal((await server.call('GET', older)).status, 404);
    const newer = await server.call('GET', '/apis/cars.example/v2/namespaces/default/wheels');
    assert.equal((newer.json['items'] as any[]).length, 1);
  }));

test('an object that a new schema would refuse may still go, and change no more', () =>
  withWheels(async (server) => {
    const made = { ...wheel('w', { size: 17 }) } as any;
    made.metadata.finalizers = ['cars.example/work'];
    assert.equal((await server.call('POST', wheels, { body: made })).status, 201);
    const current = (await server.call('GET', `${definitions}/wheels.cars.example`)).json as any;
    const { spec } = current.spec.versions[0].schema.openAPIV3Schema.properties;
    Object.assign(spec.properties.size, { minimum: 20 });
    spec.required = ['size', 'maker'];
    const path = `${definitions}/wheels.cars.example`;
    assert.equal((await server.call('PUT', path, { body: current })).status, 200);
    const patch = (body: JsonObject) =>
      server.call('PATCH', `${wheels}/w`, {
        body,
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    const refused = await patch({ spec: { replicas: 2 } });
    assert.equal(refused.status, 422, refused.text);
    assert.match(refused.text, /spec.maker: Required value.*spec.size: Invalid value: 17/);
    assert.equal((await patch({ metadata: { labels: { a: 'b' } } })).status, 200);
    assert.equal((await server.call('DELETE', `${wheels}/w`)).status, 200);
    const stored = (await server.call('GET', `${wheels}/w`)).json as any;
    stored.metadata.finalizers = [];
    assert.equal((await server.call('PUT', `${wheels}/w`, { body: stored })).status, 200);
    assert.equal((await server.call('GET', `${wheels}/w`)).status, 404);
  }));

test('nothing is made of a kind that is on its way out, and it stays until it is empty', () =>
  withWheels(async (server) => {
    await server.call('POST', wheels, { body: wheel('w', { size: 17 }) });
    const gone = await server.call('DELETE', `${definitions}/wheels.cars.example`);
    assert.deepEqual((gone.json['metadata'] as any).finalizers, [
      'customresourcecleanup.apiextensions.k8s.io',
    ]);
    const late = await server.call('POST', wheels, { body: wheel('x', { size: 17 }) });
    assert.equal(late.status, 405, late.text);
    assert.equal((await server.call('GET', `${wheels}/w`)).status, 200);
    assert.equal((await server.call('DELETE', `${wheels}/w`)).status, 200);
    const emptied = {
      ...gone.json,
      metadata: { ...(gone.json['metadata'] as any), finalizers: [] },
    };
    const done = await server.call('PUT', `${definitions}/wheels.cars.example`, { body: emptied });
    assert.equal(done.status, 200, done.text);
    assert.equal((await server.call('GET', wheels)).status, 404);
    assert.equal((await server.call('GET', '/apis/cars.example')).status, 404);
  }));

/** About as large as those of certificate and delivery controllers. */
function largeSchema(depth: number, fields: number): JsonObject {
  const properties: JsonObject = {};
  for (let field = 0; field < fields; field += 1) {
    properties[`field${field}`] =
      depth > 0 && field < 4
        ? largeSchema(depth - 1, fields)
        : {
            type: 'string',
            description: `What the field ${field} of this part is about, in a sentence or two.`,
            maxLength: 253,
            pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
          };
  }
  return { type: 'object', description: 'A part of it.', properties };
}

function largeDefinition(plural: string, depth: number): JsonObject {
  const definition = wheelDefinition({ metadata: { name: `${plural}.cars.example` } }) as any;
  const schema = { type: 'object', properties: { spec: largeSchema(depth, 16) } };
  definition.spec.names = { plural, kind: `Kind${plural}` };
  definition.spec.versions = [
    { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } },
  ];
  return definition;
}

test('two hundred kinds with large schemas are served, and each costs no more than its own', () =>
  withServer(async (server) => {
    const firstMs: number[] = [];
    for (let count = 0; count < 200; count += 1) {
      const startedAtMs = performance.now();
      await establish(server, largeDefinition(`kinds${count}`, count === 199 ? 4 : 1));
      firstMs.push(performance.now() - startedAtMs);
    }
    const early = firstMs.slice(10, 30).toSorted((a, b) => a - b)[10] ?? 0;
    const late = firstMs.slice(-30, -10).toSorted((a, b) => a - b)[10] ?? 0;
    assert.ok(late < early * 10 + 100, `${early} ms at first, ${late} ms in the end`);
    const list = '/apis/cars.example/v1/namespaces/default/kinds199';
    const body = {
      apiVersion: 'cars.example/v1',
      kind: 'Kindkinds199',
      metadata: { name: 'one' },
      spec: { field0: { field1: { field7: 'text' } } },
    };
    assert.equal((await server.call('POST', list, { body })).status, 201);
    assert.equal((await server.call('GET', list)).status, 200);
  }));

test('an object of a declared kind is applied by the lists of its schema, in any version', () =>
  withWheels(async (server) => {
    const apply = (manager: string, spec: JsonObject, version = 'cars.example/v1') =>
      server.call(
        'PATCH',
        `${version === 'cars.example/v1' ? wheels : older}/left?fieldManager=${manager}`,
        {
          body: wheel('left', spec, version),
          headers: { 'content-type': 'application/apply-patch+yaml' },
        },
      );
    const made = await apply('git', { size: 17, bolts: [{ name: 'a' }] });
    assert.equal(made.status, 201, made.text);
    const both = await apply('mesh', { size: 17, bolts: [{ name: 'b', torque: 90 }] });
    assert.equal(both.status, 200, both.text);
    assert.deepEqual((both.json['spec'] as any).bolts, [
      { name: 'a', torque: 100 },
      { name: 'b', torque: 90 },
    ]);
    const refused = await apply('other', { size: 18 }, 'cars.example/v1beta1');
    assert.equal(refused.status, 409, refused.text);
    assert.deepEqual(
      (refused.json['details'] as any).causes.map(({ message }: any) => message),
      ['conflict with "git"', 'conflict with "mesh"'],
    );
    const less = await apply('git', { size: 17 });
    assert.deepEqual((less.json['spec'] as any).bolts, [{ name: 'b', torque: 90 }]);
  }));

/** A kind whose status is written with the rest. */
const withPlainWheels = (run: (server: TestServer) => Promise<void>): Promise<void> =>
  withServer(async (server) => {
    const schema = { openAPIV3Schema: wheelSchema };
    const versions = [{ name: 'v1', served: true, storage: true, schema }];
    await establish(server, wheelDefinition({ spec: { versions } }));
    await run(server);
  });

function managersOf(json: JsonObject): unknown {
  const owners = ((json['metadata'] as any).managedFields ?? []) as JsonObject[];
  return owners.map(({ manager, operation, fieldsV1 }) => [manager, operation, fieldsV1]);
}

test('who writes a status with the rest is kept once, however often it is read and sent back', () =>
  withPlainWheels(async (server) => {
    const apply = (manager: string, body: JsonObject, more = '') =>
      server.call('PATCH', `${wheels}/w?fieldManager=${manager}${more}`, {
        body,
        headers: { 'content-type': 'application/apply-patch+yaml' },
      });
    const body = wheel('w', { size: 17 });
    assert.equal((await apply('git', body)).status, 201);
    for (let replicas = 1; replicas <= 12; replicas += 1) {
      const { json } = await server.call('GET', `${wheels}/w`);
      const labels = { round: String(replicas) };
      const metadata = { ...(json['metadata'] as JsonObject), labels };
      const put = await server.call('PUT', `${wheels}/w?fieldManager=operator`, {
        body: { ...json, metadata, status: { replicas } },
      });
      assert.equal(put.status, 200, put.text);
      const again = await apply('git', body);
      assert.equal(again.status, 200, again.text);
      assert.deepEqual(again.json, put.json);
      assert.deepEqual(managersOf(again.json), [
        ['git', 'Apply', { 'f:spec': { 'f:size': {} } }],
        [
          'operator',
          'Update',
          {
            'f:metadata': { 'f:labels': { '.': {}, 'f:round': {} } },
            'f:status': { 'f:replicas': {} },
          },
        ],
      ]);
    }
    const taken = await apply('git', { ...body, status: { replicas: 3 } });
    assert.equal(taken.status, 409, taken.text);
    const forced = await apply('git', { ...body, status: { replicas: 3 } }, '&force=true');
    assert.deepEqual((managersOf(forced.json) as unknown[])[0], [
      'git',
      'Apply',
      { 'f:spec': { 'f:size': {} }, 'f:status': { 'f:replicas': {} } },
    ]);
    // What is forgotten is forgotten of both halves; what comes back is divided again.
    const metadata = forced.json['metadata'] as JsonObject;
    const reset = await server.call('PUT', `${wheels}/w`, {
      body: { ...forced.json, metadata: { ...metadata, managedFields: [{}] } },
    });
    assert.deepEqual(managersOf(reset.json), []);
    const { managedFields = [] } = metadata;
    const back = await server.call('PATCH', `${wheels}/w`, {
      body: { metadata: { managedFields } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.deepEqual(managersOf(back.json), managersOf(forced.json));
  }));

test('who makes an object whose status is written with the rest owns the status too', () =>
  withPlainWheels(async (server) => {
    const body = { ...wheel('w', { size: 17 }), status: { replicas: 1 } };
    const made = await server.call('POST', `${wheels}?fieldManager=me`, { body });
    assert.deepEqual(
      (managersOf(made.json) as any).map(([manager, , fields]: any) => [
        manager,
        fields['f:status'],
      ]),
      [['me', { 'f:replicas': {} }]],
    );
  }));

test('owners that are stored twice are read as one, and written so', () =>
  withPlainWheels(async (server) => {
    const made = await server.call('POST', `${wheels}?fieldManager=me`, {
      body: { ...wheel('w', { size: 17 }), status: { replicas: 1 } },
    });
    const key = { resource: 'wheels.cars.example', namespace: 'default', name: 'w' };
    const git = { 'f:spec': { 'f:size': {} } };
    const me = (name: string): JsonObject => ({ 'f:status': { [`f:${name}`]: {} } });
    const pair = [
      ['git', 'A', 7, 'cars.example/v1', '', git],
      ['me', 'U', 8, 'cars.example/v1', '', me('replicas')],
      ['me', 'U', 9, 'cars.example/v1', '', me('selector')],
    ];
    const note = JSON.stringify(Array.from({ length: 120 }, () => pair).flat());
    await server.store.transact((view) => {
      const stored = view.get(key);
      assert.ok(stored !== undefined);
      const { uid, facets } = stored;
      const changes = (['intent', 'report'] as const).map((facet) => {
        const { bytes } = facets[facet] ?? assert.fail(facet);
        return { type: 'put' as const, key, uid, facet, bytes, note };
      });
      return { changes, result: undefined };
    });
    const owners = [
      ['git', 'Apply', git],
      ['me', 'Update', { 'f:status': { 'f:replicas': {}, 'f:selector': {} } }],
    ];
    const read = await server.call('GET', `${wheels}/w`);
    assert.deepEqual(managersOf(read.json), owners);
    const put = await server.call('PUT', `${wheels}/w?fieldManager=me`, {
      body: {
        ...read.json,
        spec: { ...(made.json['spec'] as JsonObject), maker: 'acme' },
        status: { replicas: 2 },
      },
    });
    assert.equal(put.status, 200, put.text);
    const applied = await server.call('PATCH', `${wheels}/w?fieldManager=new`, {
      body: wheel('w', { size: 17 }),
      headers: { 'content-type': 'application/apply-patch+yaml' },
    });
    assert.equal(applied.status, 200, applied.text);
    const { intent, report } = server.store.get(key)?.facets ?? {};
    for (const facet of [intent, report]) {
      const entries = JSON.parse(facet?.note ?? '') as Json[];
      assert.ok(entries.length < 4, `${entries.length} entries`);
    }
  }));
