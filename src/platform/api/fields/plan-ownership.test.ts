import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { JsonObject } from '#base/mod.ts';
import type { Schema } from '../schema.ts';
import {
  atomicList,
  countOrPercent,
  integer,
  keyedList,
  mapOf,
  record,
  setList,
  text,
} from '../meta/build.ts';
import { builtInDefinitions, StatusError } from '../mod.ts';
import { emptySet, fieldsV1Of, pathsOf, readFieldsV1, equalSets } from './field-set.ts';
import {
  type Author,
  isSoleNoteOf,
  managedFieldsOf,
  noteOf,
  type Owner,
  ownersOf,
  soleManagedFieldsText,
  soleNoteOf,
} from './owners.ts';
import { ownersAfterUpdate, planApply } from './plan-ownership.ts';
import { compareFields, fieldsOf } from './typed-fields.ts';

const port = record('A port.', {
  port: integer('Its number.'),
  protocol: text('Its protocol.', { default: 'TCP' }),
  target: countOrPercent('Where it leads.'),
});
const schema: Schema = record('A thing.', {
  apiVersion: text('Version.'),
  kind: text('Kind.'),
  metadata: record('Metadata.', { name: text('Name.'), labels: mapOf('Labels.', text('One.')) }),
  spec: record('What is wanted.', {
    count: integer('How many.'),
    choice: { ...mapOf('One field.', text('One.')), 'x-kubernetes-map-type': 'atomic' },
    words: setList('A set.', text('One.')),
    ports: keyedList('Ports.', ['port', 'protocol'], port),
    lines: atomicList('A list.', text('One.')),
    open: {
      description: 'Anything.',
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
    },
  }),
});

const author = (manager: string, seconds = 1): Author => ({
  ...{ manager, seconds },
  ...{ subresource: '', isOwn: false },
});

interface State {
  readonly object: JsonObject | undefined;
  readonly owners: readonly Owner[];
}
const nothing: State = { object: undefined, owners: [] };

function apply(state: State, manager: string, applied: JsonObject, force = false, seconds = 1) {
  return planApply({
    ...{ schema, apiVersion: 'v1', live: state.object, owners: state.owners },
    ...{ applied, author: author(manager, seconds), force, free: emptySet },
  });
}

function update(state: State, manager: string, object: JsonObject, seconds = 1): State {
  const before = state.object ?? {};
  const by = author(manager, seconds);
  return { object, owners: ownersAfterUpdate(schema, 'v1', state.owners, before, object, by) };
}

const whose = ({ owners }: State): Record<string, string[]> =>
  Object.fromEntries(
    owners.map((owner) => [`${owner.manager} ${owner.operation}`, pathsOf(owner.fields)]),
  );

function conflictsOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof StatusError && error.reason === 'Conflict', String(error));
    return [
      error.message,
      (error.options.causes ?? []).map(({ message, field }) => [message, field]),
    ];
  }
  throw new assert.AssertionError({ message: 'there was no conflict' });
}

/** Parts of an object that a manager may apply: each names some fields, never all. */
const anySpec = fc.record(
  {
    count: fc.integer({ min: 0, max: 2 }),
    choice: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('x', 'y'), {
      noNullPrototype: true,
    }),
    words: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
    lines: fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 3 }),
    ports: fc.uniqueArray(
      fc.record(
        {
          port: fc.constantFrom(80, 81),
          protocol: fc.constantFrom('TCP', 'UDP'),
          target: fc.constantFrom<number | string>(1, 'web'),
        },
        { requiredKeys: ['port'], noNullPrototype: true },
      ),
      { minLength: 1, selector: (one) => `${one.port}/${one.protocol ?? 'TCP'}` },
    ),
    open: fc.dictionary(
      fc.constantFrom('p', 'q'),
      fc.oneof(
        fc.integer(),
        fc.record({ in: fc.constantFrom('x', 'y') }, { noNullPrototype: true }),
      ),
      { minKeys: 1, noNullPrototype: true },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);
const anyApplied = fc
  .tuple(
    anySpec,
    fc.dictionary(fc.constantFrom('l', 'm', 'n'), fc.constantFrom('1', '2'), {
      minKeys: 1,
      noNullPrototype: true,
    }),
  )
  .map(([spec, labels]): JsonObject => {
    const head = { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x', labels } };
    return Object.keys(spec).length === 0 ? head : { ...head, spec };
  });
const runs = { seed: 20_261_129, numRuns: 400 };

test('to apply the same twice changes nothing, not even a time', () => {
  fc.assert(
    fc.property(anyApplied, anyApplied, (other, applied) => {
      const first = apply(apply(nothing, 'other', other), 'me', applied, true);
      const second = apply(first, 'me', applied, false, 99);
      assert.deepEqual(second.object, first.object);
      assert.equal(noteOf(second.owners), noteOf(first.owners));
    }),
    runs,
  );
});

test('who applies with force has what it applied, and owns it', () => {
  fc.assert(
    fc.property(anyApplied, anyApplied, (other, applied) => {
      const after = apply(apply(nothing, 'other', other), 'me', applied, true);
      const { changed } = compareFields(schema, after.object, {
        ...after.object,
        spec: { ...(after.object['spec'] as object), ...(applied['spec'] as object) },
      });
      // What is atomic is as it was applied; sets and keyed lists may have more beside it.
      assert.deepEqual(pathsOf(changed), []);
      const mine = after.owners.find(({ manager }) => manager === 'me');
      const named = pathsOf(fieldsOf(schema, applied)).filter((path) =>
        /^\.(spec|metadata\.l)/.test(path),
      );
      assert.deepEqual(mine === undefined ? [] : pathsOf(mine.fields).sort(), named.sort());
    }),
    runs,
  );
});

test('two managers with different fields come to the same object in either order', () => {
  const left = fc.record({ count: fc.nat(3), words: fc.constantFrom(['a'], ['a', 'b']) });
  const right = fc.record({ lines: fc.constantFrom(['x'], ['y', 'x']), words: fc.constant(['z']) });
  fc.assert(
    fc.property(left, right, (one, two) => {
      const of = (spec: object): JsonObject =>
        ({ kind: 'Thing', metadata: { name: 'x' }, spec }) as JsonObject;
      const forth = apply(apply(nothing, 'one', of(one)), 'two', of(two));
      const back = apply(apply(nothing, 'two', of(two)), 'one', of(one));
      const { changed, removed } = compareFields(schema, forth.object, back.object);
      assert.deepEqual([pathsOf(changed), pathsOf(removed)], [[], []]);
      assert.deepEqual(
        whose({ ...forth, owners: forth.owners.toSorted(byName) }),
        whose({ ...back, owners: back.owners.toSorted(byName) }),
      );
    }),
    runs,
  );
});

test('who applies nothing any more leaves nothing of its own behind', () => {
  fc.assert(
    fc.property(anyApplied, anyApplied, (other, applied) => {
      const before = apply(nothing, 'other', other);
      const during = apply(before, 'me', applied, true);
      const after = apply(during, 'me', { kind: 'Thing', metadata: { name: 'x' } });
      assert.equal(
        after.owners.some(({ manager }) => manager === 'me'),
        false,
      );
      const left = pathsOf(fieldsOf(schema, after.object)).filter((path) =>
        path.startsWith('.spec'),
      );
      const others = after.owners.flatMap(({ fields }) => pathsOf(fields));
      assert.deepEqual(
        left.filter((path) => !others.includes(path)),
        [],
      );
    }),
    runs,
  );
});

test('sets of fields are the same after a way through FieldsV1', () => {
  fc.assert(
    fc.property(anyApplied, (applied) => {
      const set = fieldsOf(schema, applied, true);
      const read = readFieldsV1(JSON.parse(JSON.stringify(fieldsV1Of(set))));
      assert.ok(read !== undefined && equalSets(read, set));
    }),
    runs,
  );
});

test('what one author wrote alone is shown the same with and without sets between', () => {
  fc.assert(
    fc.property(anyApplied, (object) => {
      const note = soleNoteOf(author('me', 7), 'v1');
      const text = soleManagedFieldsText(schema, object, note);
      assert.ok(text !== undefined && isSoleNoteOf(note, author('me', 9), 'v1'));
      const [shown] = managedFieldsOf(ownersOf(schema, object, note));
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(shown)));
    }),
    runs,
  );
});

test('a field that another manager set otherwise is a conflict that names it, in Kubernetes’ words', () => {
  const made = update({ object: {}, owners: [] }, 'kubectl-edit', {
    metadata: { name: 'x' },
    spec: { count: 1, ports: [{ port: 80, target: 'web' }] },
  });
  assert.deepEqual(
    conflictsOf(() => apply(made, 'git', { metadata: { name: 'x' }, spec: { count: 2 } })),
    [
      'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .spec.count',
      [['conflict with "kubectl-edit" using v1', '.spec.count']],
    ],
  );
  const applied = apply(made, 'git', { spec: { ports: [{ port: 81, target: 1 }] } });
  assert.deepEqual(
    conflictsOf(() =>
      apply(applied, 'other', {
        spec: { count: 3, ports: [{ port: 81, protocol: 'TCP', target: 2 }] },
      }),
    ),
    [
      'Apply failed with 2 conflicts: conflicts with "git":\n' +
        '- .spec.ports[port=81,protocol="TCP"].target\n' +
        'conflicts with "kubectl-edit" using v1:\n- .spec.count',
      [
        ['conflict with "kubectl-edit" using v1', '.spec.count'],
        ['conflict with "git"', '.spec.ports[port=81,protocol="TCP"].target'],
      ],
    ],
  );
});

test('equal values are shared, and a field goes only when nobody names it any more', () => {
  const spec = (count?: number, words?: string[]): JsonObject => ({
    spec: { ...(count === undefined ? {} : { count }), ...(words === undefined ? {} : { words }) },
  });
  const both = apply(apply(nothing, 'a', spec(1, ['x'])), 'b', spec(1));
  assert.deepEqual(whose(both), {
    'a Apply': ['.spec.count', '.spec.words[="x"]'],
    'b Apply': ['.spec.count'],
  });
  const alone = apply(both, 'a', spec(undefined, ['y']));
  assert.deepEqual(alone.object, { spec: { count: 1, words: ['y'] } });
  const gone = apply(alone, 'b', { spec: {} });
  assert.deepEqual(gone.object, { spec: { words: ['y'] } });
});

test('who updates takes a field over, and is one of ten who are told apart', () => {
  let state: State = apply(nothing, 'git', { spec: { count: 0 } });
  for (let count = 1; count <= 14; count += 1) {
    const labels = { [`l${count}`]: 'x' };
    const before = (state.object?.['metadata'] ?? {}) as { labels?: JsonObject };
    state = update(
      state,
      `m${count}`,
      { metadata: { labels: { ...before.labels, ...labels } }, spec: { count } },
      count,
    );
  }
  const managers = state.owners.map(({ manager }) => manager);
  assert.deepEqual(managers.toSorted(), [
    'ancient-changes',
    ...Array.from({ length: 9 }, (_, index) => `m${index + 6}`).toSorted(),
  ]);
  const ancient = state.owners.find(({ manager }) => manager === 'ancient-changes');
  assert.ok(pathsOf(ancient?.fields ?? emptySet).includes('.metadata.labels.l1'));
  const newest = state.owners.find(({ manager }) => manager === 'm14');
  assert.deepEqual(pathsOf(newest?.fields ?? emptySet).toSorted(), [
    '.metadata.labels.l14',
    '.spec.count',
  ]);
});

test('a container that is applied is known by its name, and what it leaves to defaults is not', () => {
  const deployment = builtInDefinitions.find(({ kind }) => kind === 'Deployment');
  assert.ok(deployment !== undefined);
  const set = fieldsOf(deployment.schema, {
    spec: {
      template: {
        spec: { containers: [{ name: 'a', image: 'b', ports: [{ containerPort: 1 }] }] },
      },
    },
  });
  assert.deepEqual(pathsOf(set), [
    '.spec.template.spec.containers[name="a"]',
    '.spec.template.spec.containers[name="a"].name',
    '.spec.template.spec.containers[name="a"].image',
    '.spec.template.spec.containers[name="a"].ports[containerPort=1,protocol="TCP"]',
    '.spec.template.spec.containers[name="a"].ports[containerPort=1,protocol="TCP"].containerPort',
  ]);
});

test('a note names whoever wrote a facet alone, and reads as all of its fields', () => {
  const [owner] = ownersOf(
    schema,
    { kind: 'Thing', metadata: { name: 'x', labels: { a: 'b' } }, spec: { count: 1 } },
    '[["kubectl","U",7,"v1"]]',
  );
  assert.deepEqual(
    [owner?.manager, owner?.operation, owner?.seconds, pathsOf(owner?.fields ?? emptySet)],
    ['kubectl', 'Update', 7, ['.metadata.labels', '.metadata.labels.a', '.spec.count']],
  );
});

function byName(left: Owner, right: Owner): number {
  return left.manager < right.manager ? -1 : 1;
}
