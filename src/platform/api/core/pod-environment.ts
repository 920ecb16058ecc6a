/** The schema of a container's environment: variables, and where their values come from. */
import { atomicList, flag, keyedList, oneOf, quantity, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';

const environmentMax = 1024;
const sourcesMax = 64;

const optional = flag(
  'True: without the object or the key the container starts all the same, without the variable.',
);

const objectName = text('Name of the object, in the namespace of the pod.', {
  format: 'dns-subdomain',
  minLength: 1,
});

export const fieldReferenceSchema: Schema = {
  ...record(
    'A field of the pod itself.',
    {
      apiVersion: oneOf('The version of the pod that the path is about.', ['v1'], 'v1'),
      fieldPath: text(
        "Such as metadata.name, metadata.labels['app'], spec.nodeName or status.podIP.",
        { minLength: 1, maxLength: 512 },
      ),
    },
    ['fieldPath'],
  ),
  'x-kubernetes-map-type': 'atomic',
};

export const resourceFieldReferenceSchema: Schema = {
  ...record(
    'What a container asks for or may use at most. Where it has no limit, what the node has.',
    {
      containerName: text('The container in question; in its environment, itself by default.'),
      resource: oneOf('Which amount.', [
        'limits.cpu',
        'limits.memory',
        'limits.ephemeral-storage',
        'requests.cpu',
        'requests.memory',
        'requests.ephemeral-storage',
      ]),
      divisor: quantity(
        'The unit that the amount is told in, rounded up: 1 by default, such as 1m or 1Mi.',
      ),
    },
    ['resource'],
  ),
  'x-kubernetes-map-type': 'atomic',
};

function keyReference(description: string): Schema {
  return {
    ...record(
      description,
      {
        name: objectName,
        key: text('The key whose value is wanted.', { minLength: 1, maxLength: 253 }),
        optional,
      },
      ['key', 'name'],
    ),
    'x-kubernetes-map-type': 'atomic',
  };
}

const variableSchema = record(
  'One variable.',
  {
    name: text('Name of the variable: letters, digits and _, not beginning with a digit.', {
      minLength: 1,
    }),
    value: text(
      'Its value; empty where none is given. $(NAME) stands for a variable before this one, $$(NAME) for itself.',
    ),
    valueFrom: {
      ...record('Where the value comes from, instead of being given here.', {
        configMapKeyRef: keyReference('One key of a ConfigMap.'),
        secretKeyRef: keyReference('One key of a Secret.'),
        fieldRef: fieldReferenceSchema,
        resourceFieldRef: resourceFieldReferenceSchema,
      }),
      notYet: ['fileKeyRef'],
    },
  },
  ['name'],
);

function wholeObject(description: string): Schema {
  return record(
    description,
    {
      name: objectName,
      optional: flag('True: without the object the container starts all the same.'),
    },
    ['name'],
  );
}

export const environmentFields = {
  env: keyedList('Variables in the environment of the process.', ['name'], variableSchema, {
    maxItems: environmentMax,
  }),
  envFrom: atomicList(
    'Objects whose keys all become variables. A later one wins over an earlier one, and env over both.',
    record('One object.', {
      prefix: text('Put before every key.', { maxLength: 253 }),
      configMapRef: wholeObject('All keys of a ConfigMap.'),
      secretRef: wholeObject('All keys of a Secret.'),
    }),
    { maxItems: sourcesMax },
  ),
} as const;
