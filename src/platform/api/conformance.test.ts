import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { type Json, type JsonObject, unreachable } from '#base/mod.ts';
import { conforms } from './conformance.ts';
import { builtInDefinitions } from './definitions.ts';
import {
  applySchemaDefaults,
  dropNullFields,
  findUnknownFields,
  pruneUnknownFields,
} from './schema-fields.ts';
import type { Schema } from './schema.ts';
import { validateAgainstSchema } from './validate.ts';

const numRuns = 300;

/** Values that mostly fit the schema, with something wrong in some places. */
function valueOf(schema: Schema, depth: number): fc.Arbitrary<Json> {
  const odd: fc.Arbitrary<Json> = fc.constantFrom<Json>(null, 1.5, -1, '', 'x y', true, [], {});
  const right = depth > 6 ? odd : rightValueOf(schema, depth);
  return fc.oneof({ weight: 24, arbitrary: right }, { weight: 1, arbitrary: odd });
}

function rightValueOf(schema: Schema, depth: number): fc.Arbitrary<Json> {
  if (schema.default !== undefined) return fc.constant(schema.default);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'object': {
      const required = schema.required ?? [];
      const names = Object.keys(schema.properties ?? {});
      const chosen = fc.subarray(names, { maxLength: Math.min(6, names.length) });
      const rest = schema.additionalProperties;
      return chosen.chain((some) => {
        const fields: Record<string, fc.Arbitrary<Json>> = {};
        for (const name of new Set([...required, ...some])) {
          const child = schema.properties?.[name];
          if (child !== undefined) fields[name] = valueOf(child, depth + 1);
        }
        if (rest !== undefined) fields['key-1'] = valueOf(rest, depth + 1);
        if (schema['x-kubernetes-preserve-unknown-fields'] === true)
          fields['other'] = fc.constant(null);
        const value = fc.record(fields) as fc.Arbitrary<Json>;
        const withMore = value.map((made): Json => ({ ...(made as JsonObject), unknownField: 1 }));
        return fc.oneof({ weight: 30, arbitrary: value }, { weight: 1, arbitrary: withMore });
      });
    }
    case 'array':
      return fc.array(
        schema.items === undefined ? fc.constant<Json>('a') : valueOf(schema.items, depth + 1),
        {
          minLength: schema.minItems ?? 0,
          maxLength: 3,
        },
      );
    case 'string':
      return fc.constantFrom<Json>('abc', 'example.com/a', '2026-01-31T12:00:00Z', '500m', 'YQ==');
    case 'integer':
      return fc.constantFrom<Json>(0, 1, 8080);
    case 'number':
      return fc.constantFrom<Json>(0, 1.5);
    case 'boolean':
      return fc.boolean();
    case undefined:
      return fc.constantFrom<Json>(1, '50%', '500m');
    default:
      return unreachable(schema.type);
  }
}

test('what conforms is what no other pass over it would change or report', () => {
  let conforming = 0;
  for (const { schema, kind } of builtInDefinitions) {
    fc.assert(
      fc.property(valueOf(schema, 0), (value) => {
        const before = JSON.stringify(value);
        const isPlain = conforms(schema, value);
        assert.equal(JSON.stringify(value), before, 'it is only looked at');
        if (!isPlain) return;
        conforming += 1;
        assert.deepEqual(findUnknownFields(schema, value), [], kind);
        assert.equal(pruneUnknownFields(schema, value), value, kind);
        assert.equal(dropNullFields(schema, value), value, kind);
        assert.equal(applySchemaDefaults(schema, value), value, kind);
        assert.deepEqual(validateAgainstSchema(schema, value), [], kind);
      }),
      { numRuns },
    );
  }
  assert.ok(conforming > builtInDefinitions.length * 10, `${conforming} values were not trivial`);
});

test('an object as clients send it conforms, and one with a default to fill in does not', () => {
  const schemaOf = (kind: string): Schema => {
    const found = builtInDefinitions.find((definition) => definition.kind === kind);
    assert.ok(found !== undefined);
    return found.schema;
  };
  const metadata = { name: 'a', labels: { app: 'a' } };
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { key: 'value' } };
  assert.equal(conforms(schemaOf('ConfigMap'), map), true);
  assert.equal(conforms(schemaOf('ConfigMap'), { ...map, data: { key: null } }), false);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { containers: [{ name: 'a', image: 'a' }] },
  };
  assert.equal(applySchemaDefaults(schemaOf('Pod'), pod) === pod, conforms(schemaOf('Pod'), pod));
});
