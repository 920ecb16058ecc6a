// Wishes of pods about their neighbours: what is taken, and what is refused by its field.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateAgainstSchema } from '../mod.ts';
import { podSpecSchema } from './pod-spec.ts';
import { validatePodSpec } from './pod-validation.ts';

function problems(more: object): string {
  const spec = { containers: [{ name: 'a', image: 'a' }], ...more };
  const bySchema = validateAgainstSchema(podSpecSchema, spec);
  const errors = bySchema.length > 0 ? bySchema : validatePodSpec(spec, 'spec');
  return errors.map(({ field, message }) => `${field}: ${message}`).join('\n');
}

const selector = { matchLabels: { app: 'web' } };
const required = (term: object): object => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
});
const preferred = (weight: number): object => ({
  affinity: {
    podAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight, podAffinityTerm: { topologyKey: 'zone', labelSelector: selector } },
      ],
    },
  },
});
const spread = (...rules: object[]): object => ({
  topologySpreadConstraints: rules.map((rule) => ({
    maxSkew: 1,
    topologyKey: 'zone',
    whenUnsatisfiable: 'DoNotSchedule',
    labelSelector: selector,
    ...rule,
  })),
});

test('wishes about neighbours are taken as Kubernetes has them', () => {
  const term = { topologyKey: 'kubernetes.io/hostname', labelSelector: selector };
  const fine = [
    required(term),
    required({
      ...term,
      namespaces: ['a'],
      namespaceSelector: {},
      matchLabelKeys: ['pod-template-hash'],
    }),
    preferred(100),
    spread({ minDomains: 2, nodeAffinityPolicy: 'Ignore', nodeTaintsPolicy: 'Honor' }),
    spread({}, { whenUnsatisfiable: 'ScheduleAnyway', matchLabelKeys: ['a'] }),
  ];
  for (const spec of fine) assert.equal(problems(spec), '', JSON.stringify(spec));
});

test('what cannot be meant is refused by its field', () => {
  const cases: [object, RegExp][] = [
    [required({ labelSelector: selector }), /\[0\].topologyKey: Required value/],
    [required({ topologyKey: 'a b' }), /topologyKey: Invalid value: "a b"/],
    [required({ topologyKey: 'a', namespaces: ['B'] }), /namespaces\[0\]: Invalid value: "B"/],
    [required({ topologyKey: 'a', matchLabelKeys: ['k'] }), /labelSelector: Required value/],
    [
      required({
        topologyKey: 'a',
        labelSelector: {},
        matchLabelKeys: ['k'],
        mismatchLabelKeys: ['k'],
      }),
      /mismatchLabelKeys: .*exists in both/,
    ],
    [
      required({
        topologyKey: 'a',
        labelSelector: { matchExpressions: [{ key: 'k', operator: 'In' }] },
      }),
      /matchExpressions\[0\].values/,
    ],
    [preferred(0), /weight: .*/],
    [preferred(101), /weight: .*/],
    [spread({ maxSkew: 0 }), /maxSkew/],
    [spread({ whenUnsatisfiable: 'Never' }), /whenUnsatisfiable: Unsupported value: "Never"/],
    [spread({ whenUnsatisfiable: 'ScheduleAnyway', minDomains: 2 }), /minDomains: .*DoNotSchedule/],
    [spread({}, {}), /Duplicate value/],
  ];
  for (const [spec, expected] of cases) {
    assert.match(problems(spec), expected, JSON.stringify(spec));
  }
});
