import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtInDefinitions, type Schema } from '#platform/api/mod.ts';
import { CommandFailure } from './context.ts';
import { explain } from './explain.ts';

function printed(words: string | undefined, isRecursive = false): string {
  let text = '';
  const write = (more: string): void => {
    text += more;
  };
  explain({ write, isTerminal: false, columns: 80, rows: 24 }, words, isRecursive);
  return text;
}

test('a kind is found by any of its names, with or without its group', () => {
  for (const name of ['deployments', 'deploy', 'Deployment', 'deployments.apps']) {
    assert.match(printed(`${name}.spec.replicas`), /FIELD: +spec\.replicas <integer>/);
  }
});

test('lists and maps are walked through as if they were their elements', () => {
  const text = printed('pods.spec.containers.image');
  assert.match(text, /FIELD: +spec\.containers\.image <string>/);
  assert.match(printed('pods.spec.containers'), /<\[\]Object>[^]*name <string> -required-/);
});

test('what is not there is answered with what is', () => {
  assert.throws(() => printed('pods.spec.contaners'), /no field 'contaners'.*containers/);
  assert.throws(() => printed('deplo'), CommandFailure);
});

test('every field of every kind has words of its own', () => {
  const silent: string[] = [];
  const walk = (schema: Schema, path: string): void => {
    const inner = schema.items ?? schema.additionalProperties ?? schema;
    if (inner !== schema) {
      walk(inner, path);
      return;
    }
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      const at = `${path}.${name}`;
      const isGiven = ['apiVersion', 'kind', 'metadata'].includes(name);
      if (!isGiven && (field.description ?? '') === '') silent.push(at);
      walk(field, at);
    }
  };
  for (const { kind, schema } of builtInDefinitions) walk(schema, kind);
  assert.deepEqual(silent, []);
});
