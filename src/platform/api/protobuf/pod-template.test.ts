// A pod template that says everything: nothing of it is lost or refused as protobuf.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '#base/mod.ts';
import { podSpecSchema } from '../core/pod-spec.ts';
import type { Schema } from '../schema.ts';
import { body, message, metadata } from './encoder.contract.ts';
import { parseKubernetesProtobuf } from './kubernetes-protobuf.ts';

const entry = (key: string, value: string | Uint8Array): Uint8Array =>
  message([1, key], [2, value]);
const quantity = (text: string): Uint8Array => message([1, text]);
/** As Go writes them: both values, and which of them counts. */
const portNumber = (port: bigint): Uint8Array => message([1, 0n], [2, port], [3, '']);
const portName = (name: string): Uint8Array => message([1, 1n], [2, 0n], [3, name]);
const reference = (name: string): Uint8Array => message([1, name]);
const selector = message(
  [1, entry('app', 'web')],
  [2, message([1, 'tier'], [2, 'In'], [3, 'front'])],
);
const selected = {
  matchLabels: { app: 'web' },
  matchExpressions: [{ key: 'tier', operator: 'In', values: ['front'] }],
};

const exec = message([1, 'main.mjs'], [1, 'check']);
const httpGet = message(
  [1, '/ready'],
  [2, portName('http')],
  [3, 'example.com'],
  [4, 'HTTPS'],
  [5, message([1, 'Accept'], [2, ''])],
);
const asked = {
  path: '/ready',
  port: 'http',
  host: 'example.com',
  scheme: 'HTTPS',
  httpHeaders: [{ name: 'Accept', value: '' }],
};
const times = [
  [2, 1n],
  [3, 2n],
  [4, 3n],
  [5, 1n],
  [6, 5n],
  [7, 6n],
] as const;
const timed = {
  initialDelaySeconds: 1,
  timeoutSeconds: 2,
  periodSeconds: 3,
  successThreshold: 1,
  failureThreshold: 5,
  terminationGracePeriodSeconds: 6,
};
const seccomp = message([1, 'RuntimeDefault']);
const fieldReference = message([1, 'v1'], [2, 'metadata.name']);
const field = { apiVersion: 'v1', fieldPath: 'metadata.name' };
const amountReference = message([1, 'main'], [2, 'limits.cpu'], [3, quantity('1m')]);
const amount = { containerName: 'main', resource: 'limits.cpu', divisor: '1m' };
const keyOf = (name: string): Uint8Array => message([1, reference(name)], [2, 'k'], [3, 0n]);

const container = message(
  [1, 'main'],
  [2, 'app:1'],
  [3, 'main.mjs'],
  [4, 'word'],
  [5, '/app'],
  [6, message([1, 'http'], [2, 0n], [3, 8080n], [4, 'TCP'], [5, ''])],
  [7, message([1, 'PLAIN'], [2, 'x'])],
  [7, message([1, 'FIELD'], [2, ''], [3, message([1, fieldReference])])],
  [7, message([1, 'AMOUNT'], [2, ''], [3, message([2, amountReference])])],
  [7, message([1, 'SETTING'], [2, ''], [3, message([3, keyOf('settings')])])],
  [7, message([1, 'PASSWORD'], [2, ''], [3, message([4, keyOf('password')])])],
  [
    8,
    message(
      ...['cpu', 'memory', 'ephemeral-storage'].flatMap((name) => [
        [1, entry(name, quantity('2'))] as const,
        [2, entry(name, quantity('1'))] as const,
      ]),
    ),
  ],
  [9, message([1, 'data'], [2, 1n], [3, '/data'], [4, 'part'], [5, 'None'])],
  [10, message([1, message([1, exec])], ...times)],
  [11, message([1, message([2, httpGet])], ...times)],
  [12, message([1, message([1, exec])], [2, message([4, message([1, 0n])])])],
  [13, '/dev/termination-log'],
  [14, 'IfNotPresent'],
  [
    15,
    message(
      [1, message([1, 'CHOWN'], [2, 'ALL'])],
      [2, 0n],
      [4, 7n],
      [5, 1n],
      [6, 1n],
      [7, 0n],
      [8, 8n],
      [9, 'Default'],
      [11, seccomp],
    ),
  ],
  [16, 1n],
  [17, 1n],
  [18, 1n],
  [
    19,
    message(
      [1, 'A_'],
      [2, message([1, reference('settings')], [2, 1n])],
      [3, message([1, reference('password')], [2, 1n])],
    ),
  ],
  [20, 'File'],
  [22, message([1, message([3, message([1, portNumber(8080n)], [2, 'example.com'])])])],
);
const main = {
  name: 'main',
  image: 'app:1',
  command: ['main.mjs'],
  args: ['word'],
  workingDir: '/app',
  ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
  env: [
    { name: 'PLAIN', value: 'x' },
    { name: 'FIELD', valueFrom: { fieldRef: field } },
    { name: 'AMOUNT', valueFrom: { resourceFieldRef: amount } },
    {
      name: 'SETTING',
      valueFrom: { configMapKeyRef: { name: 'settings', key: 'k', optional: false } },
    },
    {
      name: 'PASSWORD',
      valueFrom: { secretKeyRef: { name: 'password', key: 'k', optional: false } },
    },
  ],
  resources: {
    limits: { cpu: '2', memory: '2', 'ephemeral-storage': '2' },
    requests: { cpu: '1', memory: '1', 'ephemeral-storage': '1' },
  },
  volumeMounts: [
    { name: 'data', readOnly: true, mountPath: '/data', subPath: 'part', mountPropagation: 'None' },
  ],
  livenessProbe: { exec: { command: ['main.mjs', 'check'] }, ...timed },
  readinessProbe: { httpGet: asked, ...timed },
  lifecycle: {
    postStart: { exec: { command: ['main.mjs', 'check'] } },
    preStop: { sleep: { seconds: 0 } },
  },
  terminationMessagePath: '/dev/termination-log',
  imagePullPolicy: 'IfNotPresent',
  securityContext: {
    capabilities: { add: ['CHOWN'], drop: ['ALL'] },
    privileged: false,
    runAsUser: 7,
    runAsNonRoot: true,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    runAsGroup: 8,
    procMount: 'Default',
    seccompProfile: { type: 'RuntimeDefault' },
  },
  stdin: true,
  stdinOnce: true,
  tty: true,
  envFrom: [
    {
      prefix: 'A_',
      configMapRef: { name: 'settings', optional: true },
      secretRef: { name: 'password', optional: true },
    },
  ],
  terminationMessagePolicy: 'File',
  startupProbe: { tcpSocket: { port: 8080, host: 'example.com' } },
};

const sidecar = message(
  [1, 'side'],
  [2, 'app:1'],
  [11, message([1, message([4, message([1, 9000n], [2, 'health'])])])],
  [12, message([2, message([2, httpGet])])],
  [24, 'Always'],
);
const side = {
  name: 'side',
  image: 'app:1',
  readinessProbe: { grpc: { port: 9000, service: 'health' } },
  lifecycle: { preStop: { httpGet: asked } },
  restartPolicy: 'Always',
};

const key = message([1, 'k'], [2, 'file'], [3, 0o400n]);
const shown = { key: 'k', path: 'file', mode: 0o400 };
const files = [
  [1, message([1, 'name'], [2, fieldReference], [4, 0o400n])],
  [1, message([1, 'cpu'], [3, amountReference])],
] as const;
const told = [
  { path: 'name', fieldRef: field, mode: 0o400 },
  { path: 'cpu', resourceFieldRef: amount },
];
const volumes: readonly (readonly [number, Uint8Array, Json])[] = [
  [1, message([1, '/srv'], [2, 'Directory']), { hostPath: { path: '/srv', type: 'Directory' } }],
  [2, message([1, '']), { emptyDir: {} }],
  [
    2,
    message([1, 'Memory'], [2, quantity('1Mi')]),
    { emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
  ],
  [
    6,
    message([1, 'password'], [2, key], [3, 0o444n], [4, 1n]),
    { secret: { secretName: 'password', items: [shown], defaultMode: 0o444, optional: true } },
  ],
  [
    10,
    message([1, 'claim'], [2, 1n]),
    { persistentVolumeClaim: { claimName: 'claim', readOnly: true } },
  ],
  [16, message(...files, [2, 0o444n]), { downwardAPI: { items: told, defaultMode: 0o444 } }],
  [
    19,
    message([1, reference('settings')], [2, key], [3, 0o444n], [4, 0n]),
    { configMap: { name: 'settings', items: [shown], defaultMode: 0o444, optional: false } },
  ],
  [
    26,
    message(
      [1, message([1, message([1, reference('password')], [2, key], [4, 1n])])],
      [1, message([2, message(...files)])],
      [1, message([3, message([1, reference('settings')], [2, key], [4, 1n])])],
      [1, message([4, message([1, 'vault'], [2, 600n], [3, 'token'])])],
      [2, 0o444n],
    ),
    {
      projected: {
        sources: [
          { secret: { name: 'password', items: [shown], optional: true } },
          { downwardAPI: { items: told } },
          { configMap: { name: 'settings', items: [shown], optional: true } },
          { serviceAccountToken: { audience: 'vault', expirationSeconds: 600, path: 'token' } },
        ],
        defaultMode: 0o444,
      },
    },
  ],
];

const requirement = message([1, 'disk'], [2, 'In'], [3, 'ssd'], [3, 'nvme']);
const term = message([1, requirement], [2, requirement]);
const required = { key: 'disk', operator: 'In', values: ['ssd', 'nvme'] };
const place = { matchExpressions: [required], matchFields: [required] };
const podTerm = message(
  [1, selector],
  [2, 'shop'],
  [3, 'host'],
  [4, selector],
  [5, 'version'],
  [6, 'tenant'],
);
const neighbours = message([1, podTerm], [2, message([1, 5n], [2, podTerm])]);
const meant = {
  labelSelector: selected,
  namespaces: ['shop'],
  topologyKey: 'host',
  namespaceSelector: selected,
  matchLabelKeys: ['version'],
  mismatchLabelKeys: ['tenant'],
};
const near = {
  requiredDuringSchedulingIgnoredDuringExecution: [meant],
  preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 5, podAffinityTerm: meant }],
};
const nodeAffinity = message([1, message([1, term])], [2, message([1, 3n], [2, term])]);

const spec = message(
  ...volumes.map(
    ([number, source], index) =>
      [1, message([1, `v${index}`], [2, message([number, source])])] as const,
  ),
  [2, container],
  [3, 'OnFailure'],
  [4, 0n],
  [5, 60n],
  [6, 'ClusterFirst'],
  [7, entry('disk', 'ssd')],
  [8, 'robot'],
  [9, 'robot'],
  [10, 'n1'],
  [11, 1n],
  [12, 1n],
  [13, 1n],
  [14, message([2, 7n], [3, 1n], [4, 1n], [4, 2n], [5, 0n], [6, 8n], [9, 'Always'], [10, seccomp])],
  [15, reference('registry')],
  [16, 'host'],
  [17, 'sub'],
  [18, message([1, nodeAffinity], [2, neighbours], [3, neighbours])],
  [19, 'default-scheduler'],
  [20, sidecar],
  [21, 0n],
  [22, message([1, 'gpu'], [2, 'Equal'], [3, 'yes'], [4, 'NoExecute'], [5, 0n])],
  [24, 'urgent'],
  [25, 0n],
  [27, 0n],
  [29, 'wasm'],
  [30, 0n],
  [31, 'Never'],
  [32, entry('cpu', quantity('10m'))],
  [
    33,
    message(
      [1, 1n],
      [2, 'site'],
      [3, 'DoNotSchedule'],
      [4, selector],
      [5, 2n],
      [6, 'Honor'],
      [7, 'Ignore'],
      [8, 'version'],
    ),
  ],
  [36, message([1, 'linux'])],
);
const said = {
  volumes: volumes.map(([, , source], index) => ({ name: `v${index}`, ...(source as JsonObject) })),
  containers: [main],
  restartPolicy: 'OnFailure',
  terminationGracePeriodSeconds: 0,
  activeDeadlineSeconds: 60,
  dnsPolicy: 'ClusterFirst',
  nodeSelector: { disk: 'ssd' },
  serviceAccountName: 'robot',
  serviceAccount: 'robot',
  nodeName: 'n1',
  hostNetwork: true,
  hostPID: true,
  hostIPC: true,
  securityContext: {
    runAsUser: 7,
    runAsNonRoot: true,
    supplementalGroups: [1, 2],
    fsGroup: 0,
    runAsGroup: 8,
    fsGroupChangePolicy: 'Always',
    seccompProfile: { type: 'RuntimeDefault' },
  },
  imagePullSecrets: [{ name: 'registry' }],
  hostname: 'host',
  subdomain: 'sub',
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [place] },
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 3, preference: place }],
    },
    podAffinity: near,
    podAntiAffinity: near,
  },
  schedulerName: 'default-scheduler',
  initContainers: [side],
  automountServiceAccountToken: false,
  tolerations: [
    { key: 'gpu', operator: 'Equal', value: 'yes', effect: 'NoExecute', tolerationSeconds: 0 },
  ],
  priorityClassName: 'urgent',
  priority: 0,
  shareProcessNamespace: false,
  runtimeClassName: 'wasm',
  enableServiceLinks: false,
  preemptionPolicy: 'Never',
  overhead: { cpu: '10m' },
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: 'site',
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: selected,
      minDomains: 2,
      nodeAffinityPolicy: 'Honor',
      nodeTaintsPolicy: 'Ignore',
      matchLabelKeys: ['version'],
    },
  ],
  os: { name: 'linux' },
};

test('a pod template that says everything is read as JSON would have brought it', () => {
  const job = message([1, metadata('once')], [2, message([6, message([2, spec])])]);
  const { value } = parseKubernetesProtobuf(body('batch/v1', 'Job', job));
  assert.deepEqual((value as { spec: JsonObject }).spec, { template: { spec: said } });
});

/** Fields of the schema that no value has, by their paths. Fields of what is alike are looked for together. */
function unsaid(schema: Schema, values: readonly (Json | undefined)[], path: string): string[] {
  const { properties = {}, items } = schema;
  const inner = values.flatMap((value) => (Array.isArray(value) ? value : []));
  if (items !== undefined) return unsaid(items, inner, path);
  return Object.entries(properties).flatMap(([name, field]) => {
    const found = values
      .map((value) => (value as JsonObject | undefined)?.[name])
      .filter((value) => value !== undefined);
    return found.length === 0 ? [`${path}.${name}`] : unsaid(field, found, `${path}.${name}`);
  });
}

test('that template does say everything that a pod may', () => {
  // Probes, hooks and containers are of one kind each: what one of them has, all may have.
  const all = { ...main, ...side };
  const probe = { ...main.livenessProbe, ...main.readinessProbe, ...main.startupProbe };
  const probes = { ...probe, ...side.readinessProbe };
  const hook = { ...main.lifecycle.postStart, ...main.lifecycle.preStop };
  const hooks = { ...hook, ...side.lifecycle.preStop };
  const whole = {
    ...all,
    livenessProbe: probes,
    readinessProbe: probes,
    startupProbe: probes,
    lifecycle: { postStart: hooks, preStop: hooks },
  };
  const everything = { ...said, containers: [whole], initContainers: [whole] };
  assert.deepEqual(unsaid(podSpecSchema, [everything], 'spec'), []);
});
