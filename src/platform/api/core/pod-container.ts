/** The schema of one container. */
import {
  atomicList,
  flag,
  integer,
  keyedList,
  oneOf,
  quantity,
  record,
  text,
} from '../meta/build.ts';
import type { Schema } from '../schema.ts';
import { environmentFields } from './pod-environment.ts';
import { lifecycleSchema, probeFields } from './pod-probes.ts';
import { containerSecuritySchema } from './pod-security.ts';
import { volumeMountsSchema } from './pod-volumes.ts';

/** Ports are 16 bits wide. */
const portMax = 65_535;
const portsMax = 256;
const commandWordsMax = 1024;
const containersMax = 32;

const portSchema: Schema = {
  ...record(
    'A port that the container listens on. Listing it informs people, probes and services; it opens nothing.',
    {
      name: text('A name for the port, unique in the pod.', { maxLength: 15 }),
      containerPort: integer('The number of the port.', { minimum: 1, maximum: portMax }),
      protocol: oneOf('The transport protocol.', ['TCP', 'UDP', 'SCTP'], 'TCP'),
    },
    ['containerPort'],
  ),
  notYet: ['hostPort', 'hostIP'],
};

const amounts = {
  cpu: quantity('Processor time, in cores: `500m` is half a core.'),
  memory: quantity('Memory in bytes, with a suffix such as `Mi`.'),
  'ephemeral-storage': quantity(
    'Room on the disk of the node in bytes, with a suffix such as `Gi`. Where every container has a limit, a pod whose empty folders and logs hold more than all of them is ended.',
  ),
};

const containerFields = {
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
  workingDir: text("Absolute path to start in; the image's root by default.", {
    maxLength: 4096,
  }),
  ...environmentFields,
  ports: keyedList(
    'Ports that the container listens on.',
    ['containerPort', 'protocol'],
    portSchema,
    {
      maxItems: portsMax,
    },
  ),
  resources: {
    ...record('What the container needs, and what it may use at most.', {
      requests: record('What a node must have free to take the container.', amounts),
      limits: record('The most that the container may use.', amounts),
    }),
    notYet: ['claims'],
  },
  volumeMounts: volumeMountsSchema,
  ...probeFields,
  lifecycle: lifecycleSchema,
  securityContext: containerSecuritySchema,
  imagePullPolicy: oneOf(
    'Accepted for clients that send it, and the same either way: the name is resolved to a digest when the pod is placed, and a node fetches that digest when it does not have it.',
    ['Always', 'IfNotPresent'],
  ),
  stdin: flag(
    'Whether the workload has a standard input, for those who attach to it; else it is empty.',
  ),
  stdinOnce: flag('With stdin: the input ends when the first who attached has gone.'),
  tty: flag('Only false: a container has no terminal of its own.'),
  terminationMessagePath: text(
    'Accepted for clients that send it; the last words of a container are its log.',
  ),
  terminationMessagePolicy: oneOf('Accepted for clients that send it.', [
    'File',
    'FallbackToLogsOnError',
  ]),
} as const;

const notYet = ['volumeDevices', 'resizePolicy', 'restartPolicyRules'];
const required = ['name', 'image'];

export const containersSchema = keyedList(
  'What runs in the pod, side by side.',
  ['name'],
  {
    ...record('One process tree started from an image.', containerFields, required),
    notYet: [...notYet, 'restartPolicy'],
  },
  { minItems: 1, maxItems: containersMax },
);

export const initContainersSchema = keyedList(
  'What runs before the containers, one after the other: each has to succeed before the next begins.',
  ['name'],
  {
    ...record(
      'One process tree started from an image, before the others.',
      {
        ...containerFields,
        restartPolicy: oneOf(
          'Always makes it a sidecar: the next begins once it has started, it runs on beside the containers, and it is stopped after them.',
          ['Always'],
        ),
      },
      required,
    ),
    notYet,
  },
  { maxItems: containersMax },
);
