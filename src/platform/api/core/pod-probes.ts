/** The schema of what the node does to a container from outside: probes and lifecycle hooks. */
import { atomicList, integer, oneOf, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';

const portMax = 65_535;
const commandWordsMax = 1024;
const headersMax = 64;

const portReference: Schema = {
  description: 'Number of the port, or the name that the container gives it.',
  'x-kubernetes-int-or-string': true,
  minimum: 1,
  maximum: portMax,
  minLength: 1,
  maxLength: 15,
};

const exec = record('Runs a command in the container; exit code 0 is success.', {
  command: atomicList(
    'The command and its arguments. No shell stands around it.',
    text('A word.'),
    {
      maxItems: commandWordsMax,
    },
  ),
});

const httpGet = record(
  'Asks for a page by HTTP; an answer from 200 to 399 is success.',
  {
    path: text('The path that is asked for.', { default: '/', maxLength: 4096 }),
    port: portReference,
    host: text('Where to connect to; the address of the pod by default.', { maxLength: 253 }),
    scheme: oneOf(
      'Whether to speak TLS. Its certificate is not checked.',
      ['HTTP', 'HTTPS'],
      'HTTP',
    ),
    httpHeaders: atomicList(
      'Headers of the request.',
      record(
        'One header.',
        {
          name: text('Name of the header.', { minLength: 1, maxLength: 256 }),
          value: text('Its value.', { maxLength: 8192 }),
        },
        ['name', 'value'],
      ),
      { maxItems: headersMax },
    ),
  },
  ['port'],
);

const tcpSocket = record(
  'Opens a connection; that it can be opened is success.',
  {
    port: portReference,
    host: text('Where to connect to; the address of the pod by default.', { maxLength: 253 }),
  },
  ['port'],
);

const grpc = record(
  'Asks the standard health service by gRPC; SERVING is success.',
  {
    port: integer('Number of the port.', { minimum: 1, maximum: portMax }),
    service: text('The service that is asked about; empty for the whole server.', { default: '' }),
  },
  ['port'],
);

function probe(description: string): Schema {
  return record(description, {
    exec,
    httpGet,
    tcpSocket,
    grpc,
    initialDelaySeconds: integer('Time from the start of the container to the first look.', {
      minimum: 0,
    }),
    timeoutSeconds: integer('A look that takes longer has failed.', { minimum: 1, default: 1 }),
    periodSeconds: integer('Time between looks.', { minimum: 1, default: 10 }),
    successThreshold: integer('How many successes in a row turn a failure into success.', {
      minimum: 1,
      default: 1,
    }),
    failureThreshold: integer('How many failures in a row turn success into failure.', {
      minimum: 1,
      default: 3,
    }),
    terminationGracePeriodSeconds: {
      type: 'integer',
      format: 'int64',
      description:
        "Time between the request to stop and the kill where this probe ends the container; the pod's by default.",
      minimum: 1,
    },
  });
}

export const probeFields = {
  livenessProbe: probe('Fails: the container is ended, and started again as its policy says.'),
  readinessProbe: probe('Fails: the container is not ready, and no service sends to it.'),
  startupProbe: probe(
    'Until it succeeds the other probes wait; fails: the container is ended, and started again as its policy says.',
  ),
} as const;

function hook(description: string): Schema {
  return {
    ...record(description, {
      exec,
      httpGet,
      sleep: record(
        'Waits.',
        {
          seconds: {
            type: 'integer',
            format: 'int64',
            description: 'How long to wait.',
            minimum: 0,
          },
        },
        ['seconds'],
      ),
    }),
    notYet: ['tcpSocket'],
  };
}

export const lifecycleSchema: Schema = {
  ...record('What is done when the container has started and before it is stopped.', {
    postStart: hook(
      'Right after the start; the container does not count as running before this is done. Where it fails the container is ended.',
    ),
    preStop: hook(
      'Before the container is asked to end; it takes its time from the grace of the pod.',
    ),
  }),
  notYet: ['stopSignal'],
};
