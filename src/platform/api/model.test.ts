// oxlint-disable typescript/no-explicit-any -- tests read deep into JSON that was just made
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { JsonObject, Revision, Uid } from '#base/mod.ts';
import {
  addQuantities,
  ageText,
  type ApiObject,
  applySchemaDefaults,
  builtInDefinitions,
  compareQuantities,
  createDefinitionRegistry,
  dropNullFields,
  durationText,
  encodeFacet,
  facetsOf,
  findUnknownFields,
  foldObject,
  formatLabelSelector,
  formatQuantity,
  invalidError,
  matchesFields,
  matchesLabels,
  milliUnitsOf,
  parseFieldSelector,
  parseLabelSelector,
  parseQuantity,
  prepareForCreate,
  prepareForUpdate,
  pruneUnknownFields,
  StatusError,
  tableOf,
  tryParseQuantity,
  validateAgainstSchema,
  validateMetadata,
  wallMsOf,
} from './mod.ts';

const registry = createDefinitionRegistry(builtInDefinitions);
const deployments = registry.byResource('apps', 'v1', 'deployments')!;
const configMaps = registry.byResource('', 'v1', 'configmaps')!;
const pods = registry.byStoreResource('pods')!;
const nowMs = Date.UTC(2026, 10, 22);

function deployment(spec: JsonObject = {}): ApiObject {
  const labels = { app: 'a' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      ...spec,
    },
  };
}

const created = prepareForCreate(deployments, deployment(), {
  uid: 'u-1',
  nowMs,
  namespace: 'default',
  generatedSuffix: 'abcde',
});

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return `${error.httpStatus} ${error.message}`;
  }
  throw new assert.AssertionError({ message: 'it was accepted' });
}

test('quantities are exact, compare by amount and print canonically', () => {
  const cases: [string, string, number][] = [
    ['100m', '100m', 100],
    ['0.1', '100m', 100],
    ['1000m', '1', 1000],
    ['1.5Gi', '1536Mi', 1.5 * 1024 ** 3 * 1000],
    ['1Ki', '1Ki', 1_024_000],
    ['12e3', '12e3', 12_000_000],
    ['2E', '2E', Number.MAX_SAFE_INTEGER],
    ['0', '0', 0],
    ['1n', '1n', 1],
    ['-5', '-5', -5000],
    ['.5', '500m', 500],
    ['100k', '100k', 100_000_000],
  ];
  for (const [text, canonical, milliUnits] of cases) {
    const quantity = parseQuantity(text);
    assert.deepEqual([formatQuantity(quantity), milliUnitsOf(quantity)], [canonical, milliUnits]);
  }
  for (const wrong of [
    '',
    '.',
    'm',
    '1 Gi',
    '1gi',
    '0x1',
    '1e',
    '1e99',
    'NaN',
    '--1',
    '1'.repeat(80),
  ]) {
    assert.equal(tryParseQuantity(wrong), undefined, wrong);
  }
  assert.equal(compareQuantities(parseQuantity('1024Mi'), parseQuantity('1Gi')), 0);
  assert.equal(formatQuantity(addQuantities(parseQuantity('0.1'), parseQuantity('0.2'))), '300m');
});

test('a printed quantity reads back as the same amount', () => {
  const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3');
  fc.assert(
    fc.property(fc.nat(1_000_000), suffix, (amount, unit) => {
      const quantity = parseQuantity(`${amount}${unit}`);
      assert.equal(parseQuantity(formatQuantity(quantity)).nano, quantity.nano);
    }),
    { seed: 20_261_122 },
  );
});

test('ages print as kubectl prints them', () => {
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000] as const;
  const cases: [number, string][] = [
    [-5000, '<invalid>'],
    [-1000, '0s'],
    [119 * second, '119s'],
    [3 * minute + 12 * second, '3m12s'],
    [5 * minute, '5m'],
    [179 * minute, '179m'],
    [3 * hour + 20 * minute, '3h20m'],
    [47 * hour, '47h'],
    [5 * day + 4 * hour, '5d4h'],
    [400 * day, '400d'],
    [800 * day, '2y70d'],
    [3650 * day, '10y'],
  ];
  for (const [durationMs, text] of cases) assert.equal(durationText(durationMs), text);
  assert.equal(ageText('2026-11-21T23:59:00Z', nowMs), '60s');
  assert.equal(ageText(undefined, nowMs), '<unknown>');
});

test('instants are read as the calendar has them, with offsets and fractions', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true }),
      (date) => {
        assert.equal(wallMsOf(date.toISOString()), date.getTime());
      },
    ),
    { seed: 20_261_122 },
  );
  assert.equal(wallMsOf('2026-01-01T01:00:00+01:00'), Date.UTC(2026, 0, 1));
  for (const wrong of ['2026-02-29T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-01', 'x']) {
    assert.equal(wallMsOf(wrong), undefined);
  }
});

test('label selectors select what they say and print back', () => {
  const selector = parseLabelSelector(
    'app=a, tier != db,env in (x, y),zone notin (z),!gone,here,n>3',
  );
  const matching = { app: 'a', env: 'y', here: '', n: '4' };
  assert.equal(matchesLabels(selector, matching), true);
  for (const change of [
    { app: 'b' },
    { tier: 'db' },
    { env: 'z' },
    { zone: 'z' },
    { gone: '1' },
    { n: '3' },
  ]) {
    assert.equal(
      matchesLabels(selector, { ...matching, ...change }),
      false,
      JSON.stringify(change),
    );
  }
  assert.deepEqual(parseLabelSelector(formatLabelSelector(selector)), selector);
  assert.equal(matchesLabels(parseLabelSelector(''), undefined), true);
  for (const wrong of ['a=b=c', 'a in x', '-a=b', 'a=,,', 'a in (x', 'a=b c', '=b']) {
    assert.match(
      refusal(() => parseLabelSelector(wrong)),
      /^400 the selector/,
      wrong,
    );
  }
});

test('field selectors know the fields of the kind and refuse others', () => {
  const selector = parseFieldSelector('metadata.name=p1,status.phase!=Succeeded', pods);
  const pod = (name: string, phase: string): ApiObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {},
    status: { phase },
  });
  assert.equal(matchesFields(selector, pods, pod('p1', 'Running')), true);
  assert.equal(matchesFields(selector, pods, pod('p1', 'Succeeded')), false);
  assert.equal(matchesFields(selector, pods, pod('p2', 'Running')), false);
  assert.match(
    refusal(() => parseFieldSelector('spec.foo=1', pods)),
    /^400 .*use one of metadata\.name/,
  );
});

test('a wrong object gives one error per field, in Kubernetes notation', () => {
  const wrong = deployment({
    replicas: -1,
    paused: 'yes',
    template: { metadata: { labels: { app: 'a b' } }, spec: { containers: [{ image: 1 }] } },
  });
  const errors = validateAgainstSchema(deployments.schema, wrong);
  assert.deepEqual(
    errors.map(({ field, reason }) => [field, reason]),
    [
      ['spec.replicas', 'FieldValueInvalid'],
      ['spec.template.metadata.labels[app]', 'FieldValueInvalid'],
      ['spec.template.spec.containers[0].name', 'FieldValueRequired'],
      ['spec.template.spec.containers[0].image', 'FieldValueTypeInvalid'],
      ['spec.paused', 'FieldValueTypeInvalid'],
    ],
  );
  const status = invalidError(deployments, 'web', errors).toStatus() as any;
  assert.match(
    status.message,
    /^Deployment\.apps "web" is invalid: \[spec\.replicas: Invalid value: -1: must be greater than or equal to 0, /,
  );
  assert.equal(invalidError(deployments, 'web', [...errors, ...errors]).message, status.message);
  assert.deepEqual(
    [status.code, status.reason, status.details.causes.length],
    [422, 'Invalid', errors.length],
  );
});

test('the number of errors is bounded', () => {
  const data = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, index]));
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data };
  assert.equal(validateAgainstSchema(configMaps.schema, object).length, 50);
  assert.equal(validateAgainstSchema(configMaps.schema, object, { errorsMax: 3 }).length, 3);
});

test('unknown fields are found by path and pruned, nulls dropped, defaults filled in, nothing changed', () => {
  const given = deployment({ foo: 1, strategy: null, minReadySeconds: null }) as any;
  given.spec.template.spec.containers[0].bar = { x: 1 };
  given.metadata.creationTimestamp = null;
  const before = structuredClone(given);
  given.spec.template.spec.setHostnameAsFQDN = true;
  assert.deepEqual(findUnknownFields(deployments.schema, given), [
    { path: 'spec.template.spec.containers[0].bar', isNotYet: false },
    { path: 'spec.template.spec.setHostnameAsFQDN', isNotYet: true },
    { path: 'spec.foo', isNotYet: false },
  ]);
  delete given.spec.template.spec.setHostnameAsFQDN;
  const pruned = pruneUnknownFields(deployments.schema, dropNullFields(deployments.schema, given));
  assert.deepEqual(pruned, deployment());
  const filled = applySchemaDefaults(deployments.schema, pruned) as any;
  assert.equal(filled.spec.revisionHistoryLimit, 10);
  assert.equal(filled.spec.template.spec.restartPolicy, 'Always');
  assert.deepEqual(applySchemaDefaults(deployments.schema, filled), filled);
  assert.deepEqual(given, before);
});

test('metadata that breaks a rule is refused by field', () => {
  const check = (metadata: JsonObject, previous?: ApiObject): string[] =>
    validateMetadata(
      configMaps,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'x', namespace: 'default', ...metadata },
      },
      { operation: previous === undefined ? 'create' : 'update', previous },
    ).map(({ field, reason }) => `${field} ${reason}`);
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u', controller: true };
  const deleted: ApiObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['x/a'] },
  };
  assert.deepEqual(check({}), []);
  assert.deepEqual(check({ annotations: { a: 'x'.repeat(256 * 1024 - 1) } }), []);
  assert.deepEqual(check({ annotations: { a: 'x'.repeat(300 * 1024) } }), [
    'metadata.annotations FieldValueTooLong',
  ]);
  assert.deepEqual(check({ name: 'Not_a_name' }), ['metadata.name FieldValueInvalid']);
  assert.deepEqual(check({ name: '' }), ['metadata.name FieldValueRequired']);
  assert.deepEqual(check({ labels: { '-x': 'y', ok: 'not ok' } }), [
    'metadata.labels FieldValueInvalid',
    'metadata.labels[ok] FieldValueInvalid',
  ]);
  assert.deepEqual(check({ finalizers: ['plain', 'x/b'] }), [
    'metadata.finalizers[0] FieldValueInvalid',
  ]);
  assert.deepEqual(check({ finalizers: ['x/a', 'x/b'] }, deleted), [
    'metadata.finalizers FieldValueForbidden',
  ]);
  assert.deepEqual(check({ ownerReferences: [owner, { ...owner, uid: 'v' }] }), [
    'metadata.ownerReferences[1].controller FieldValueInvalid',
  ]);
});

test('a create gets its system metadata from the server and keeps none from the body', () => {
  assert.deepEqual(created.metadata, {
    name: 'web',
    namespace: 'default',
    uid: 'u-1',
    creationTimestamp: '2026-11-22T00:00:00Z',
    generation: 1,
  });
  const forged = deployment();
  forged.metadata = {
    ...created.metadata,
    name: '',
    generateName: 'web-',
    generation: 9,
    deletionTimestamp: 'x',
  };
  forged.status = { replicas: 7 };
  const context = { uid: 'u-2', nowMs, namespace: 'default', generatedSuffix: 'abcde' };
  const made = prepareForCreate(deployments, forged, context);
  assert.deepEqual(
    [
      made.metadata.name,
      made.metadata.uid,
      made.metadata.generation,
      made.metadata.deletionTimestamp,
      made.status,
    ],
    ['web-abcde', 'u-2', 1, undefined, undefined],
  );
  assert.match(
    refusal(() => prepareForCreate(deployments, { ...deployment(), kind: 'Pod' }, context)),
    /^400 this endpoint takes apps\/v1 Deployment; the body is apps\/v1 Pod/,
  );
  const elsewhere = { ...deployment(), metadata: { name: 'web', namespace: 'other' } };
  assert.match(
    refusal(() => prepareForCreate(deployments, elsewhere, context)),
    /^400 .*namespace "other"/,
  );
  const versioned = { ...deployment(), metadata: { name: 'web', resourceVersion: '3' } };
  assert.match(
    refusal(() => prepareForCreate(deployments, versioned, context)),
    /^400 metadata\.resourceVersion/,
  );
});

test('an update keeps system metadata, ignores status and counts generations', () => {
  const previous: ApiObject = { ...created, status: { replicas: 2 } };
  const labelled = {
    ...deployment(),
    metadata: { name: 'web', labels: { a: 'b' } },
    status: { replicas: 9 },
  };
  const relabelled = prepareForUpdate(deployments, previous, labelled);
  assert.deepEqual(relabelled, {
    ...previous,
    metadata: { ...created.metadata, labels: { a: 'b' } },
  });
  const scaled = prepareForUpdate(deployments, previous, deployment({ replicas: 3 }));
  assert.deepEqual([scaled.metadata.generation, scaled.status], [2, { replicas: 2 }]);
  const reported = prepareForUpdate(
    deployments,
    previous,
    { ...deployment({ replicas: 9 }), status: { replicas: 5 } },
    { subresource: 'status' },
  );
  assert.deepEqual(reported, { ...previous, status: { replicas: 5 } });
});

test('an update of what cannot change, or of another version, is refused', () => {
  const previous: ApiObject = {
    ...created,
    metadata: { ...created.metadata, resourceVersion: '7' },
  };
  const change = (metadata: JsonObject): string =>
    refusal(() =>
      prepareForUpdate(deployments, previous, {
        ...deployment(),
        metadata: { name: 'web', ...metadata },
      }),
    );
  assert.match(change({ uid: 'other' }), /^409/);
  assert.match(change({ resourceVersion: '6' }), /^409 .*the object has been modified/);
  assert.match(
    change({ creationTimestamp: '2020-01-01T00:00:00Z' }),
    /^422 .*metadata\.creationTimestamp: .*immutable/,
  );
  assert.match(change({ deletionTimestamp: '2020-01-01T00:00:00Z' }), /^422 .*deleting the object/);
  assert.match(change({ name: 'other' }), /^422 .*metadata\.name/);
  assert.match(change({ namespace: 'other' }), /^422 .*metadata\.namespace/);
});

test('an object that was split into facets folds back with the identity of the store', () => {
  const object: ApiObject = {
    ...created,
    metadata: { ...created.metadata, resourceVersion: '1' },
    status: { replicas: 2 },
  };
  const facets = facetsOf(deployments, object);
  const revision = 42 as Revision;
  const stored = {
    key: { resource: 'deployments.apps', namespace: 'default', name: 'web' },
    uid: 'u-1' as Uid,
    createdRevision: 1 as Revision,
    revision,
    facets: Object.fromEntries(facets.map(({ facet, bytes }) => [facet, { revision, bytes }])),
  };
  const { resourceVersion, ...metadata } = foldObject(deployments, stored).metadata;
  assert.deepEqual([resourceVersion, metadata], ['42', created.metadata]);
  assert.deepEqual(foldObject(deployments, stored).spec, object.spec);
  assert.deepEqual(foldObject(deployments, stored).status, object.status);
  const intent = facets.find(({ facet }) => facet === 'intent');
  assert.ok(!new TextDecoder().decode(intent?.bytes).includes('resourceVersion'));
  assert.deepEqual(encodeFacet({ a: 1 }), new TextEncoder().encode('{"a":1}'));
});

test('a table has one cell per column, and as much of each object as was asked for', () => {
  const table = tableOf(deployments, [created], nowMs + 60_000, 'Metadata', true, {
    resourceVersion: '9',
  }) as any;
  assert.deepEqual(table.columnDefinitions.length, table.rows[0].cells.length);
  assert.deepEqual([table.columnDefinitions[0].format, table.rows[0].cells[0]], ['name', 'web']);
  assert.deepEqual(table.metadata, { resourceVersion: '9' });
  assert.equal(table.rows[0].object.kind, 'PartialObjectMetadata');
  const later = tableOf(deployments, [created], nowMs, 'None', false);
  assert.deepEqual(later['columnDefinitions'], []);
  assert.ok(!Object.hasOwn((later['rows'] as JsonObject[])[0] ?? {}, 'object'));
});
