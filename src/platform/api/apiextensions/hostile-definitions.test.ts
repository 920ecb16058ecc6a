// Definitions and objects that nobody would write: each is answered, none is an accident.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Json, JsonObject } from '#base/mod.ts';
import { validateAgainstSchema } from '../validate.ts';
import { compileRules, ruleErrors } from './cel-rules.ts';
import { createObjectBudget } from './cel/budget.ts';
import { compileProgram } from './cel/compile.ts';
import { CelError } from './cel/errors.ts';
import { dyn } from './cel/types.ts';
import { valueOf } from './cel/values.ts';
import { compileRootSchema } from './compile-schema.ts';
import { parseJsonPath, readJsonPath } from './json-path.ts';
import { structuralErrors } from './structural-schema.ts';

const pieces = [
  ...['self', 'oldSelf', '.a', '.b', '[0]', '["a"]', '(', ')', ' + ', ' - ', ' * ', ' / ', ' % '],
  ...[' == ', ' < ', ' && ', ' || ', ' ? ', ' : ', '!', '-', '1', '2.5', '"x"', 'true', 'null'],
  ...['.all(x, ', '.exists(x, ', '.map(x, ', '.filter(x, ', 'x', 'has(self.a)', 'size(', ' in '],
  ...['.matches("a+")', '.split(",")', '.join()', 'int(', 'string(', 'duration("1s")', '[', ']'],
  ...['{', '}', '.size()', '.?a', '.orValue(1)', 'quantity("1")', '.format([1])', ',', '.sum()'],
];
const expressions = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 3 })), { maxLength: 14 })
  .map((parts) => parts.join(''));

test('no expression does anything but give a value or a CelError', () => {
  fc.assert(
    fc.property(expressions, fc.jsonValue({ maxDepth: 3 }), (text, value) => {
      try {
        const program = compileProgram(text, [{ name: 'self', type: dyn }]);
        program.run([valueOf(value as Json, dyn)], createObjectBudget().forRule());
      } catch (error) {
        if (!(error instanceof CelError)) throw error;
      }
    }),
    { numRuns: 8_000, seed: 1 },
  );
});

const words = fc.constantFrom(
  'a',
  'b',
  'metadata',
  '',
  '^a+$',
  '(',
  'set',
  'map',
  'atomic',
  'self.a',
);
function schemaOf(depth: number): fc.Arbitrary<JsonObject> {
  const leaf = {
    type: fc.constantFrom('object', 'array', 'string', 'integer', 'number', 'boolean', 'x'),
    enum: fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 3 }),
    default: fc.jsonValue({ maxDepth: 2 }),
    pattern: words,
    format: fc.constantFrom('date-time', 'ipv6', 'duration', 'uri', 'email', 'cidr', 'zzz'),
    minimum: fc.integer(),
    maxLength: fc.integer({ min: -1, max: 5 }),
    multipleOf: fc.double({ noNaN: true }),
    nullable: fc.boolean(),
    'x-kubernetes-int-or-string': fc.constant(true),
    'x-kubernetes-preserve-unknown-fields': fc.constant(true),
    'x-kubernetes-embedded-resource': fc.boolean(),
    'x-kubernetes-list-type': words,
    'x-kubernetes-list-map-keys': fc.array(words, { maxLength: 2 }),
    'x-kubernetes-validations': fc.array(
      fc.record({ rule: expressions, messageExpression: expressions }, { requiredKeys: ['rule'] }),
      { maxLength: 2 },
    ),
  };
  if (depth === 0) return fewOf(leaf);
  const inner = schemaOf(depth - 1);
  return fewOf({
    ...leaf,
    properties: fc.dictionary(fc.constantFrom('a', 'b', 'c'), inner, { maxKeys: 2 }),
    items: inner,
    additionalProperties: fc.oneof(inner, fc.boolean()),
    required: fc.array(words, { maxLength: 2 }),
    anyOf: fc.array(inner, { maxLength: 2 }),
    oneOf: fc.array(inner, { maxLength: 2 }),
    not: inner,
  });
}

/** A type and one or two other keywords: more of them contradict each other. */
function fewOf({
  type,
  ...others
}: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<JsonObject> {
  const keyword = fc.oneof(
    ...Object.entries(others).map(([name, value]) => value.map((made) => [name, made] as const)),
  );
  return fc
    .tuple(type ?? fc.constant('object'), fc.array(keyword, { maxLength: 3 }))
    .map(([made, rest]) => ({ type: made, ...Object.fromEntries(rest) }) as JsonObject);
}

const schemas = schemaOf(2);

test('a schema is refused, or holds any object to what it says', () => {
  let accepted = 0;
  fc.assert(
    fc.property(schemas, fc.jsonValue({ maxDepth: 4 }), (schema, value) => {
      const whole = { type: 'object', properties: { spec: schema } };
      if (structuralErrors(whole, '').length > 0) return;
      const { tree, errors } = compileRules(whole, '');
      if (errors.length > 0) return;
      accepted += 1;
      const object = {
        apiVersion: 'a.b/v1',
        kind: 'K',
        metadata: { name: 'n' },
        spec: value as Json,
      };
      validateAgainstSchema(compileRootSchema(whole), object);
      if (tree !== undefined) ruleErrors(tree, object, object);
    }),
    { numRuns: 3_000, seed: 1 },
  );
  assert.ok(accepted > 100, `${accepted} schemas were accepted`);
});

test('any text is a path or is none', () => {
  const parts = ['.a', '[0]', '[*]', "['x']", '[?(@.a=="b")]', '..', '[', '.', '\\', '@', '"'];
  const texts = fc
    .array(fc.oneof(fc.constantFrom(...parts), fc.string({ maxLength: 2 })), { maxLength: 8 })
    .map((all) => all.join(''));
  fc.assert(
    fc.property(texts, fc.jsonValue({ maxDepth: 3 }), (text, value) => {
      const path = parseJsonPath(text);
      if (!('problem' in path)) readJsonPath(path, value as Json);
    }),
    { numRuns: 4_000, seed: 1 },
  );
});
