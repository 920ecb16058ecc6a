import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import { type ApiObject, type ResourceDefinition } from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { withServer } from './harness.contract.ts';
import { KeptJson } from './kept-json.ts';

const stored = (name: string): StoredObject =>
  ({ key: { resource: 'configmaps', namespace: 'default', name } }) as unknown as StoredObject;

const asDeclared = { plural: 'configmaps' } as unknown as ResourceDefinition;

test('the JSON of a version is made once, of each object one is kept, and no more than may be', () => {
  const kept = new KeptJson(100);
  const made: string[] = [];
  const of = (object: StoredObject, text: string, definition?: ResourceDefinition): string =>
    new TextDecoder()
      .decode(
        kept.of(definition ?? asDeclared, object, () => {
          made.push(text);
          return utf8(text.padEnd(40));
        }),
      )
      .trim();
  const [first, second] = [stored('a'), stored('a')];
  assert.deepEqual([of(first, 'a1'), of(first, 'again'), kept.bytes], ['a1', 'a1', 40]);
  assert.deepEqual([of(second, 'a2'), kept.bytes], ['a2', 40]);
  const other = { ...asDeclared };
  assert.equal(of(second, 'a2 in another form', other), 'a2 in another form');
  assert.deepEqual([of(stored('b'), 'b'), kept.bytes], ['b', 80]);
  assert.deepEqual([of(stored('c'), 'c'), kept.bytes], ['c', 80]);
  assert.equal(of(second, 'a2 anew', other), 'a2 anew');
  assert.deepEqual(made, ['a1', 'a2', 'a2 in another form', 'b', 'c', 'a2 anew']);
});

test('lists one after the other show what has changed, and what has not as it was', () =>
  withServer(async (server) => {
    const path = '/api/v1/namespaces/default/configmaps';
    const put = async (method: string, name: string, value: string): Promise<void> => {
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } };
      const target = method === 'POST' ? path : `${path}/${name}`;
      assert.ok((await server.call(method, target, { body })).status < 300);
    };
    const shown = async (): Promise<string[]> => {
      const { json } = await server.call(
        'GET',
        `${path}?fieldSelector=metadata.name!%3Dkube-root-ca.crt`,
      );
      return (json['items'] as unknown as (ApiObject & { data: { value: string } })[]).map(
        ({ metadata, data }) => `${metadata.name}=${data.value}`,
      );
    };
    await put('POST', 'a', '1');
    await put('POST', 'b', '1');
    assert.deepEqual(await shown(), ['a=1', 'b=1']);
    await put('PUT', 'b', '2');
    assert.deepEqual(await shown(), ['a=1', 'b=2']);
    assert.equal((await server.call('DELETE', `${path}/a`)).status, 200);
    assert.deepEqual(await shown(), ['b=2']);
    await put('POST', 'a', '3');
    assert.deepEqual(await shown(), ['a=3', 'b=2']);
  }));
