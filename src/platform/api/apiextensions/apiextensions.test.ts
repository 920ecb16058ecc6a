import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '#base/mod.ts';
import type { ApiObject } from '../object.ts';
import { customResourceDefinitionDefinition } from './custom-resource-definition.ts';
import { parseJsonPath, readJsonPath } from './json-path.ts';
import { parseSafePattern } from './safe-pattern.ts';
import { customFormatProblem } from './string-formats.ts';
import { structuralErrors } from './structural-schema.ts';
import { wheelDefinition } from './wheels.contract.ts';

function schemaErrors(spec: Json): readonly string[] {
  const schema = { type: 'object', properties: { spec } };
  return structuralErrors(schema, 's').map(({ field, message }) => `${field}: ${message}`);
}

test('a schema that is not structural is refused at the field that is wrong', () => {
  const cases: [Json, RegExp][] = [
    [{}, /^s.properties\[spec\].type: Required value/],
    [{ type: 'text' }, /type: Unsupported value: "text"/],
    [{ type: 'array' }, /items: Required value/],
    [
      { type: 'object', properties: { a: {} } },
      /properties\[spec\].properties\[a\].type: Required/,
    ],
    [
      { type: 'object', properties: { a: 1 } },
      /properties\[a\]: Invalid value: 1: must be a schema/,
    ],
    [{ type: 'string', $ref: '#/x' }, /\$ref: Forbidden: is no keyword/],
    [{ type: 'string', pattern: '(' }, /pattern: Invalid value: "\(": must be an RE2/],
    [{ type: 'string', pattern: '(?=a)' }, /pattern: Invalid value/],
    [{ type: 'string', minLength: -1 }, /minLength: Invalid value: -1: must be a whole number/],
    [
      { type: 'string', minLength: 3, maxLength: 2 },
      /minLength: Invalid value: 3: must not be above/,
    ],
    [{ type: 'string', default: null }, /default: Invalid value: null/],
    [{ type: 'string', 'x-kubernetes-int-or-string': true }, /type: Forbidden/],
    [{ type: 'object', additionalProperties: false }, /additionalProperties: Forbidden/],
    [
      { type: 'object', properties: {}, additionalProperties: { type: 'string' } },
      /mutual exclusive/,
    ],
    [{ type: 'array', items: { type: 'string' }, uniqueItems: true }, /uniqueItems: Forbidden/],
    [
      { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' },
      /list-type: Forbidden: entries of a set/,
    ],
    [
      { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' },
      /list-map-keys: Required value/,
    ],
    [
      {
        type: 'array',
        items: { type: 'object', properties: { n: { type: 'string' } } },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['n'],
      },
      /items.properties\[n\].default: Required value: a key must be required/,
    ],
    [{ type: 'object', 'x-kubernetes-preserve-unknown-fields': false }, /must be true or left out/],
    [{ type: 'string', 'x-kubernetes-embedded-resource': true }, /embedded-resource: Forbidden/],
    [{ type: 'string', enum: [] }, /enum: Invalid value/],
    [{ type: 'string', anyOf: [{ type: 'string' }] }, /anyOf\[0\].type: Forbidden/],
    [{ type: 'string', not: { default: 'x' } }, /not.default: Forbidden/],
    [
      { type: 'object', anyOf: [{ properties: { a: { minLength: 1 } } }] },
      /^s.properties\[spec\].properties\[a\]: Required value: because it is defined in anyOf\[0\]/,
    ],
  ];
  for (const [spec, expected] of cases) {
    const found = schemaErrors(spec);
    assert.ok(
      found.some((error) => expected.test(error)),
      `${JSON.stringify(spec)}: ${found.join('; ')}`,
    );
  }
});

test('schemas that people write pass', () => {
  const fine: Json[] = [
    { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
    {
      'x-kubernetes-int-or-string': true,
      allOf: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, { pattern: '^[0-9]+%?$' }],
    },
    { 'x-kubernetes-preserve-unknown-fields': true },
    { type: 'object', additionalProperties: true },
    { type: 'object', additionalProperties: { type: 'string' }, maxProperties: 5 },
    {
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'integer' } },
      oneOf: [{ required: ['a'] }, { required: ['b'], properties: { b: { minimum: 1 } } }],
    },
    { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
    { type: 'string', format: 'something-of-their-own', nullable: true, default: null },
  ];
  for (const spec of fine) assert.deepEqual(schemaErrors(spec), [], JSON.stringify(spec));
});

function definitionErrors(changes: JsonObject, previous?: JsonObject): readonly string[] {
  const object = wheelDefinition(changes) as unknown as ApiObject;
  const errors = customResourceDefinitionDefinition.validate?.(object, {
    operation: previous === undefined ? 'create' : 'update',
    previous: previous as unknown as ApiObject | undefined,
  });
  return (errors ?? []).map(({ field, message }) => `${field}: ${message}`);
}

function version(changes: JsonObject, schema: JsonObject = {}): JsonObject {
  const openAPIV3Schema = { type: 'object', ...schema };
  return {
    versions: [
      { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema }, ...changes },
    ],
  };
}

test('a definition that cannot be served is refused at the field that is wrong', () => {
  assert.deepEqual(definitionErrors({}), []);
  const spec = { type: 'object', properties: { size: { type: 'integer' } } };
  const rules = (rule: JsonObject): JsonObject =>
    version({}, { properties: { spec: { ...spec, 'x-kubernetes-validations': [rule] } } });
  const cases: [JsonObject, RegExp][] = [
    [
      { metadata: { name: 'wheel.cars.example' } },
      /^metadata.name: Invalid value.*wheels.cars.example/,
    ],
    [{ spec: { group: 'cars' } }, /spec.group: Invalid value: "cars": must be a domain/],
    [{ spec: { group: 'selvage.dev' } }, /spec.group: Forbidden/],
    [{ spec: { group: 'x.k8s.io' } }, /annotations\[api-approved.kubernetes.io\]: Required/],
    [
      { spec: { conversion: { strategy: 'Webhook' } } },
      /conversion.strategy: Forbidden: conversion by a webhook/,
    ],
    [{ spec: { preserveUnknownFields: true } }, /preserveUnknownFields: Invalid value/],
    [{ spec: version({ storage: false }) }, /exactly one version marked as storage version, not 0/],
    [{ spec: version({ name: 'V1' }) }, /spec.versions\[0\].name: Invalid value/],
    [{ spec: version({ schema: {} }) }, /openAPIV3Schema: Required value/],
    [
      {
        spec: version({
          additionalPrinterColumns: [{ name: 'X', type: 'text', jsonPath: '.a..b' }],
        }),
      },
      /additionalPrinterColumns\[0\].jsonPath: Invalid value/,
    ],
    [
      {
        spec: version({
          subresources: { scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' } },
        }),
      },
      /specReplicasPath: Invalid value: ".spec.n": must lead to a field/,
    ],
    [
      { spec: version({ selectableFields: [{ jsonPath: '.spec' }] }, { properties: { spec } }) },
      /selectableFields\[0\].jsonPath: Invalid value/,
    ],
    [
      { spec: version({}, { properties: { a: { type: 'integer', default: 'x' } } }) },
      /properties\[a\].default: Invalid value: "x": must be a whole number/,
    ],
    [
      { spec: rules({ rule: 'self.sise > 1' }) },
      /validations\[0\].rule: Invalid value: "self.sise > 1": compilation failed: 1:5: undefined field 'sise'/,
    ],
    [{ spec: rules({ rule: 'self.size' }) }, /must evaluate to bool, not int/],
    [{ spec: rules({ rule: 'self.size > 1', fieldPath: '.colour' }) }, /fieldPath: Invalid value/],
    [{ spec: rules({ rule: 'self.size > 1', reason: 'Bad' }) }, /reason: Unsupported value/],
    [{ spec: rules({ rule: 'true', messageExpression: 'self.size' }) }, /must evaluate to string/],
    [
      {
        spec: version(
          {},
          {
            properties: {
              l: {
                type: 'array',
                items: {
                  type: 'string',
                  'x-kubernetes-validations': [{ rule: 'self == oldSelf' }],
                },
              },
            },
          },
        ),
      },
      /oldSelf cannot be used on the uncorrelatable portion/,
    ],
  ];
  for (const [changes, expected] of cases) {
    const found = definitionErrors(changes);
    assert.ok(
      found.some((error) => expected.test(error)),
      `${JSON.stringify(changes)}: ${found.join('; ')}`,
    );
  }
});

test('what an established kind is known by cannot change, nor can a stored version go', () => {
  const status = {
    conditions: [{ type: 'Established', status: 'True' }],
    storedVersions: ['v1', 'v0'],
  };
  const previous = wheelDefinition({ status });
  const found = definitionErrors(
    { status, spec: { scope: 'Cluster', names: { plural: 'wheels', kind: 'Tyre' } } },
    previous,
  );
  assert.deepEqual(found, [
    'status.storedVersions[1]: Invalid value: "v0": must appear in spec.versions: objects may still be stored in it',
    'spec.scope: field is immutable',
    'spec.names.kind: field is immutable',
  ]);
});

test('paths lead to what they name', () => {
  const object: Json = {
    spec: { n: 3, list: [{ a: 1 }, { a: 2, b: 'x' }] },
    metadata: { annotations: { 'x.y/z': 'deep' } },
    status: {
      conditions: [
        { type: 'A', status: 'False' },
        { type: 'Ready', status: 'True' },
      ],
    },
  };
  const cases: [string, readonly Json[]][] = [
    ['.spec.n', [3]],
    ['.spec.missing', []],
    ['.spec.list[1].a', [2]],
    ['.spec.list[-1].b', ['x']],
    ['.spec.list[*].a', [1, 2]],
    [".metadata.annotations['x.y/z']", ['deep']],
    ['.metadata.annotations.x\\.y/z', ['deep']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    ['.spec.list[?(@.a > 1)].b', ['x']],
    ['.spec.list[?(@.b)].a', [2]],
  ];
  for (const [text, expected] of cases) {
    const path = parseJsonPath(text);
    assert.ok(!('problem' in path), text);
    assert.deepEqual(readJsonPath(path, object), expected, text);
  }
  for (const text of ['', 'spec', '.a..b', '.a[', '.a[?(@.b', '{.a}', `.${'a'.repeat(600)}`]) {
    assert.ok('problem' in parseJsonPath(text), text);
  }
});

test('patterns cannot make the process hang', () => {
  for (const source of ['^(a+)+$', '(a|aa)*c', '(?:a{0,999}){1}b']) {
    const pattern = parseSafePattern(source);
    assert.ok(!('problem' in pattern));
    const startedAtMs = performance.now();
    assert.equal(pattern.test(`${'a'.repeat(20_000)}!`), false);
    assert.ok(performance.now() - startedAtMs < 3_000, source);
  }
  for (const source of ['((a{1000}){1000}){10}', '(a)\\1', 'x'.repeat(3_000)]) {
    assert.ok('problem' in parseSafePattern(source), source.slice(0, 30));
  }
});

test('formats know their own', () => {
  const cases: [string, readonly string[], readonly string[]][] = [
    ['date', ['2026-02-28'], ['2026-02-30', 'today']],
    ['duration', ['1h30m', '-5s', '0'], ['1', 'h', '1d']],
    ['ipv4', ['192.0.2.1'], ['192.0.2.256', '1.2.3', '01.2.3.4']],
    ['ipv6', ['::1', '2001:db8::1', '::ffff:192.0.2.1'], ['1::2::3', ':::', '12345::']],
    ['cidr', ['10.0.0.0/8', '2001:db8::/32'], ['10.0.0.0', '10.0.0.0/33']],
    ['uuid', ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567']],
    ['email', ['a@b.example'], ['a', '@b', 'a@']],
    ['hostname', ['Example.com'], ['-x', 'a_b']],
    ['uri', ['https://example.com/a', '/a'], ['a b']],
    ['byte', ['aGk='], ['aGk']],
    ['of-their-own', ['anything'], []],
  ];
  for (const [format, good, bad] of cases) {
    for (const text of good) assert.equal(customFormatProblem(format, text), undefined, text);
    for (const text of bad) assert.ok(customFormatProblem(format, text) !== undefined, text);
  }
});
