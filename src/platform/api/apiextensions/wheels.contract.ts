/** A declared kind as people write them, for tests: two versions, rules, defaults, columns. */
import type { JsonObject } from '#base/mod.ts';

export const wheelSchema: JsonObject = {
  type: 'object',
  description: 'A wheel of a car.',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      description: 'What the wheel should be.',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 10, maximum: 24, description: 'In inches.' },
        colour: { type: 'string', enum: ['black', 'silver'], default: 'black' },
        maker: { type: 'string', pattern: '^[a-z][a-z-]*$', maxLength: 20 },
        replicas: { type: 'integer', minimum: 0, default: 1 },
        load: {
          'x-kubernetes-int-or-string': true,
          anyOf: [{ type: 'integer' }, { type: 'string' }],
        },
        note: { type: 'string', nullable: true },
        extra: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        bolts: {
          type: 'array',
          maxItems: 20,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: { type: 'string', minLength: 1 },
              torque: { type: 'integer', default: 100 },
            },
            'x-kubernetes-validations': [
              { rule: 'self.torque >= oldSelf.torque', message: 'a bolt is never loosened' },
            ],
          },
        },
        labels: { type: 'object', additionalProperties: { type: 'string', maxLength: 8 } },
        template: {
          type: 'object',
          'x-kubernetes-embedded-resource': true,
          'x-kubernetes-preserve-unknown-fields': true,
        },
        pressure: { type: 'number', multipleOf: 0.5, minimum: 0, exclusiveMinimum: true },
        since: { type: 'string', format: 'date-time' },
        kindOf: {
          type: 'object',
          properties: { summer: { type: 'boolean' }, winter: { type: 'boolean' } },
          oneOf: [{ required: ['summer'] }, { required: ['winter'] }],
        },
      },
      'x-kubernetes-validations': [
        {
          rule: "!has(self.maker) || self.maker != 'acme' || self.size <= 20",
          messageExpression: "'acme makes no wheels of ' + string(self.size)",
          fieldPath: '.size',
        },
        { rule: 'self.size == oldSelf.size', message: 'the size cannot be changed' },
      ],
    },
    status: {
      type: 'object',
      properties: {
        replicas: { type: 'integer' },
        selector: { type: 'string' },
        conditions: {
          type: 'array',
          items: {
            type: 'object',
            properties: { type: { type: 'string' }, status: { type: 'string' } },
          },
        },
      },
    },
  },
};

const columns: JsonObject[] = [
  { name: 'Size', type: 'integer', jsonPath: '.spec.size', description: 'In inches.' },
  {
    name: 'Ready',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  },
  { name: 'Maker', type: 'string', jsonPath: '.spec.maker', priority: 1 },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

/** `wheels.cars.example`: v1 is stored; v1beta1 knows no colour and calls nothing else so. */
export function wheelDefinition(changes: JsonObject = {}): JsonObject {
  const { spec, ...rest } = changes;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'wheels.cars.example' },
    ...rest,
    spec: {
      group: 'cars.example',
      scope: 'Namespaced',
      names: {
        plural: 'wheels',
        singular: 'wheel',
        kind: 'Wheel',
        listKind: 'SetOfWheels',
        shortNames: ['wh'],
        categories: ['all'],
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: wheelSchema },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: columns,
          selectableFields: [{ jsonPath: '.spec.colour' }],
        },
        {
          name: 'v1beta1',
          served: true,
          storage: false,
          deprecated: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: {
                  type: 'object',
                  properties: {
                    size: { type: 'integer' },
                    rim: { type: 'string', default: 'steel' },
                  },
                },
              },
            },
          },
        },
      ],
      ...(spec as JsonObject | undefined),
    },
  };
}
