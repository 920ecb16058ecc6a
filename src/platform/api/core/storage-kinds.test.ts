import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  builtInDefinitions,
  nodeLocalClass,
  type PersistentVolumeClaim,
  type ResourceDefinition,
  validateAgainstSchema,
  volumeOfClaim,
} from '../mod.ts';

function definition(kind: string): ResourceDefinition {
  const found = builtInDefinitions.find((candidate) => candidate.kind === kind);
  assert.ok(found);
  return found;
}

function refusals(object: ApiObject, previous?: ApiObject): string[] {
  const { applyDefaults, validate, schema } = definition(object.kind);
  const prepared = (one: ApiObject): ApiObject => {
    const copy = structuredClone(one);
    applyDefaults?.(copy);
    return copy;
  };
  const now = prepared(object);
  const bySchema = validateAgainstSchema(schema, now);
  const errors =
    bySchema.length > 0
      ? bySchema
      : (validate?.(now, {
          operation: previous === undefined ? 'create' : 'update',
          previous: previous === undefined ? undefined : prepared(previous),
        }) ?? []);
  return errors.map(({ field, reason }) => `${field} ${reason}`);
}

function claim(spec: object = {}): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'default', uid: 'u1' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  };
}

test('what only shared storage or a hand-made volume could do is refused by its field', () => {
  const storage = (amount: unknown): ApiObject =>
    claim({ resources: { requests: { storage: amount } } });
  const cases: readonly (readonly [ApiObject, string])[] = [
    [claim({ accessModes: ['ReadWriteMany'] }), 'spec.accessModes[0] FieldValueNotSupported'],
    [claim({ accessModes: [] }), 'spec.accessModes FieldValueRequired'],
    [
      claim({ accessModes: ['ReadWriteOncePod', 'ReadWriteOnce'] }),
      'spec.accessModes FieldValueForbidden',
    ],
    [claim({ volumeMode: 'Block' }), 'spec.volumeMode FieldValueNotSupported'],
    [claim({ storageClassName: '' }), 'spec.storageClassName FieldValueInvalid'],
    [claim({ volumeName: 'pv-1' }), 'spec.volumeName FieldValueForbidden'],
    [claim({ resources: {} }), 'spec.resources.requests.storage FieldValueRequired'],
    [storage('0'), 'spec.resources.requests.storage FieldValueInvalid'],
  ];
  assert.deepEqual(refusals(claim()), []);
  assert.deepEqual(refusals(storage(1024)), []);
  for (const [object, expected] of cases) assert.deepEqual(refusals(object), [expected]);
});

test('a claim grows and changes in nothing else', () => {
  const larger = claim({ resources: { requests: { storage: '2Gi' } } });
  assert.deepEqual(refusals(larger, claim()), []);
  assert.deepEqual(refusals(claim(), larger), [
    'spec.resources.requests.storage FieldValueForbidden',
  ]);
  const other = claim({ accessModes: ['ReadWriteOncePod'] });
  assert.deepEqual(refusals(other, claim()), ['spec FieldValueForbidden']);
});

test('a claim with a node is bound to a volume there, and its writers keep to their parts', () => {
  const { facets } = definition('PersistentVolumeClaim');
  const { intent } = facets.split(claim());
  assert.ok(intent !== undefined);
  assert.deepEqual(facets.fold({ intent })['status'], { phase: 'Pending' });
  const bound = facets.fold({ intent, assignment: { nodeName: 'n1' } }) as PersistentVolumeClaim;
  assert.equal(bound.spec.volumeName, 'pvc-u1');
  assert.deepEqual(bound.status, {
    phase: 'Bound',
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '1Gi' },
  });
  assert.deepEqual(facets.split(bound), { intent }, 'what others wrote is not taken over');
  const volume = volumeOfClaim(bound);
  assert.deepEqual(volume?.spec.claimRef, {
    ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'default', name: 'data' },
    ...{ uid: 'u1', resourceVersion: '' },
  });
  assert.deepEqual(volume?.spec.nodeAffinity.required.nodeSelectorTerms, [
    { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] },
  ]);
  const { schema } = definition('PersistentVolume');
  assert.deepEqual(validateAgainstSchema(schema, volume as never), []);
  assert.equal(volumeOfClaim(facets.fold({ intent }) as PersistentVolumeClaim), undefined);
});

test('there is one kind of volume, and classes are names for it', () => {
  assert.deepEqual(refusals(nodeLocalClass), []);
  const cases: readonly (readonly [object, string])[] = [
    [{ provisioner: 'example.com/nfs' }, 'provisioner FieldValueNotSupported'],
    [{ volumeBindingMode: 'Immediate' }, 'volumeBindingMode FieldValueNotSupported'],
    [{ reclaimPolicy: 'Retain' }, 'reclaimPolicy FieldValueNotSupported'],
    [{ allowVolumeExpansion: false }, 'allowVolumeExpansion FieldValueNotSupported'],
  ];
  for (const [change, expected] of cases) {
    assert.deepEqual(refusals({ ...nodeLocalClass, ...change }), [expected]);
  }
});

const claimSpec = claim().spec;

function statefulSet(spec: object = {}, name = 'db'): ApiObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'db' } },
      serviceName: 'db',
      template: {
        metadata: { labels: { app: 'db' } },
        spec: {
          containers: [
            {
              name: 'main',
              image: 'app:1',
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
        },
      },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claimSpec }],
      ...spec,
    } as never,
  };
}

test('a stateful set is held to what its pods and claims can be', () => {
  const template = { metadata: { name: 'data' }, spec: claim().spec };
  const rolling = (rollingUpdate: object): object => ({ updateStrategy: { rollingUpdate } });
  const cases: readonly (readonly [ApiObject, readonly string[]])[] = [
    [statefulSet(), []],
    [statefulSet(rolling({ maxUnavailable: '30%', partition: 2 })), []],
    [
      statefulSet(rolling({ maxUnavailable: 0 })),
      ['spec.updateStrategy.rollingUpdate.maxUnavailable FieldValueInvalid'],
    ],
    [
      statefulSet({ updateStrategy: { type: 'OnDelete', rollingUpdate: {} } }),
      ['spec.updateStrategy.rollingUpdate FieldValueForbidden'],
    ],
    [
      statefulSet({ volumeClaimTemplates: [] }),
      ['spec.template.spec.containers[0].volumeMounts[0].name FieldValueInvalid'],
    ],
    [
      statefulSet({ volumeClaimTemplates: [template, template] }),
      ['spec.volumeClaimTemplates[1].metadata.name FieldValueDuplicate'],
    ],
    [statefulSet({}, 'x'.repeat(53)), ['metadata.name FieldValueInvalid']],
    [statefulSet({}, 'a.b'), ['metadata.name FieldValueInvalid']],
  ];
  for (const [object, expected] of cases) assert.deepEqual(refusals(object), expected);
});

test('of a stateful set only what can be changed in place is', () => {
  const claims = [
    { metadata: { name: 'data' }, spec: claim({ accessModes: ['ReadWriteOncePod'] }).spec },
  ];
  const changed = statefulSet({
    serviceName: 'other',
    podManagementPolicy: 'Parallel',
    volumeClaimTemplates: claims,
  });
  assert.deepEqual(refusals(changed, statefulSet()), [
    'spec.serviceName FieldValueInvalid',
    'spec.podManagementPolicy FieldValueInvalid',
    'spec.volumeClaimTemplates FieldValueInvalid',
  ]);
  const fine = statefulSet({ replicas: 5, minReadySeconds: 3, ordinals: { start: 1 } });
  assert.deepEqual(refusals(fine, statefulSet()), []);
});
