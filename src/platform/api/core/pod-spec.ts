/**
 * The schema of a pod's specification: exactly the fields that this version
 * honours. A field that nothing acts on is left out, so that strict validation
 * names it instead of dropping a wish in silence.
 */
import {
  atomicList,
  integer,
  keyedList,
  mapOf,
  oneOf,
  quantity,
  record,
  text,
} from '../meta/build.ts';

/** Ports are 16 bits wide. */
const portMax = 65_535;
const containersMax = 32;
const commandWordsMax = 1024;
const environmentMax = 1024;

const portSchema = record(
  'A port that the container listens on. Listing it informs people and tools; it opens nothing.',
  {
    name: text('A name for the port, unique in the pod.', { maxLength: 15 }),
    containerPort: integer('The number of the port.', { minimum: 1, maximum: portMax }),
    protocol: oneOf('The transport protocol.', ['TCP', 'UDP', 'SCTP'], 'TCP'),
  },
  ['containerPort'],
);

const amounts = {
  cpu: quantity('Processor time, in cores: `500m` is half a core.'),
  memory: quantity('Memory in bytes, with a suffix such as `Mi`.'),
};

export const containerSchema = record(
  'One process tree started from an image.',
  {
    name: text('Name of the container, unique in the pod.', { format: 'dns-label', minLength: 1 }),
    image: text('Reference of the image to start. A node takes the variant that it can run.', {
      minLength: 1,
      maxLength: 1024,
    }),
    command: atomicList("Replaces the image's entry point.", text('One word.'), {
      maxItems: commandWordsMax,
    }),
    args: atomicList("Replaces the image's arguments.", text('One word.'), {
      maxItems: commandWordsMax,
    }),
    env: keyedList(
      'Variables in the environment of the process.',
      ['name'],
      record(
        'One variable.',
        {
          name: text('Name of the variable.', { minLength: 1 }),
          value: text('Its value; empty where none is given.'),
        },
        ['name'],
      ),
      { maxItems: environmentMax },
    ),
    ports: keyedList(
      'Ports that the container listens on.',
      ['containerPort', 'protocol'],
      portSchema,
      {
        maxItems: 256,
      },
    ),
    resources: record('What the container needs, and what it may use at most.', {
      requests: record('What a node must have free to take the container.', amounts),
      limits: record(
        'The most that the container may use. Counted when the pod is placed; the script runtime does not enforce it yet, and a write that sets it is answered with a warning.',
        amounts,
      ),
    }),
    imagePullPolicy: oneOf(
      'Accepted for clients that send it, and the same either way: the name is resolved to a digest when the pod is placed, and a node fetches that digest when it does not have it.',
      ['Always', 'IfNotPresent'],
    ),
    terminationMessagePath: text(
      'Accepted for clients that send it; the last words of a container are its log.',
    ),
    terminationMessagePolicy: oneOf('Accepted for clients that send it.', [
      'File',
      'FallbackToLogsOnError',
    ]),
  },
  ['name', 'image'],
);

const tolerationSchema = record('A taint that does not keep the pod away.', {
  key: text('Key of the taint; with no key and operator Exists, every taint.', {
    format: 'qualified-name',
  }),
  operator: oneOf('Exists: any value. Equal: this value.', ['Exists', 'Equal'], 'Equal'),
  value: text('Value of the taint, for Equal.', { format: 'label-value' }),
  effect: oneOf('Effect of the taint; all effects where none is given.', [
    'NoSchedule',
    'PreferNoSchedule',
    'NoExecute',
  ]),
  tolerationSeconds: {
    type: 'integer',
    format: 'int64',
    description: 'How long a taint with effect NoExecute is tolerated; forever where not given.',
  },
});

export const podSpecSchema = record(
  'What the pod runs and where it may run.',
  {
    containers: keyedList('What runs in the pod, side by side.', ['name'], containerSchema, {
      minItems: 1,
      maxItems: containersMax,
    }),
    restartPolicy: oneOf(
      'When a container that ended is started again.',
      ['Always', 'OnFailure', 'Never'],
      'Always',
    ),
    terminationGracePeriodSeconds: {
      type: 'integer',
      format: 'int64',
      description: 'Time between the request to stop and the kill.',
      minimum: 0,
      default: 30,
    },
    nodeName: text(
      'The node that the pod runs on. The scheduler chooses it unless it is given at creation.',
      { format: 'dns-subdomain' },
    ),
    nodeSelector: mapOf(
      'Labels that a node must have to be chosen.',
      text('The wanted value.', { format: 'label-value' }),
      { 'x-kubernetes-map-type': 'atomic' },
    ),
    tolerations: atomicList('Taints that do not keep the pod away.', tolerationSchema),
    schedulerName: oneOf('Who chooses the node.', ['default-scheduler'], 'default-scheduler'),
    dnsPolicy: oneOf(
      "Names are resolved as the node resolves them, which is what both words mean here: pods share the node's resolver.",
      ['ClusterFirst', 'Default'],
      'ClusterFirst',
    ),
  },
  ['containers'],
);
