import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Revision, Uid } from '#base/mod.ts';
import { SortedList } from './sorted-list.ts';
import type { StoredObject } from './types.ts';

function objectNamed(name: string, revision: number): StoredObject {
  const at = revision as Revision;
  const key = { resource: 'r', namespace: 'n', name };
  return { key, uid: 'u' as Uid, createdRevision: at, revision: at, facets: {} };
}

test('a list is its newest objects in the order of their keys, and what was read stays', () => {
  const step = fc.record({ number: fc.nat(3000), isPut: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 4000, size: 'max' }), (steps) => {
      const list = new SortedList();
      const model = new Map<string, StoredObject>();
      const read: [readonly StoredObject[], StoredObject[]][] = [];
      for (const [turn, { number, isPut }] of steps.entries()) {
        const name = String(number).padStart(4, '0');
        if (isPut || !model.has(name)) {
          const object = objectNamed(name, turn + 1);
          list.put(object);
          model.set(name, object);
        } else {
          list.remove(objectNamed(name, 1).key);
          model.delete(name);
        }
        assert.equal(list.length, model.size);
        if (turn % 500 === 0) read.push([list.read(), [...list.read()]]);
      }
      const expected = [...model.values()].sort((a, b) => (a.key.name < b.key.name ? -1 : 1));
      assert.deepEqual(list.read(), expected);
      for (const [then, copy] of read) assert.deepEqual(then, copy);
    }),
    { numRuns: 20, seed: 4711 },
  );
});
