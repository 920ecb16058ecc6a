import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ApiObject,
  applySchemaDefaults,
  builtInDefinitions,
  findUnknownFields,
  type Pod,
  validateAgainstSchema,
} from '../mod.ts';

const pods = builtInDefinitions.find(({ kind }) => kind === 'Pod')!;

function made(spec: object): Pod {
  const given = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'd' }, spec };
  const object = structuredClone(applySchemaDefaults(pods.schema, given)) as unknown as ApiObject;
  assert.deepEqual(validateAgainstSchema(pods.schema, object), []);
  pods.applyDefaults?.(object);
  return object as Pod;
}

/** `path: reason` of everything that is wrong by schema or rule. */
function refusals(spec: object): string[] {
  const given = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'd' }, spec };
  const unknown = findUnknownFields(pods.schema, given).map(
    ({ path, isNotYet }) => `${path}: ${isNotYet ? 'not yet' : 'unknown'}`,
  );
  if (unknown.length > 0) return unknown;
  const object = structuredClone(applySchemaDefaults(pods.schema, given)) as unknown as ApiObject;
  let errors = validateAgainstSchema(pods.schema, object);
  if (errors.length === 0) {
    pods.applyDefaults?.(object);
    errors = [...(pods.validate?.(object, { operation: 'create', previous: undefined }) ?? [])];
  }
  return errors.map(({ field, reason }) => `${field}: ${reason}`);
}

const main = (fields: object = {}): object => ({ name: 'main', image: 'app:1', ...fields });
const withMain = (fields: object, spec: object = {}): object => ({
  containers: [main(fields)],
  ...spec,
});
const data = [{ name: 'data', emptyDir: {} }];

test('a pod as people write it is accepted whole, and its open ends are filled in', () => {
  const pod = made({
    initContainers: [
      { name: 'prepare', image: 'tool:1', command: ['make.mjs'] },
      {
        name: 'proxy',
        image: 'proxy:1',
        restartPolicy: 'Always',
        startupProbe: { exec: { command: ['up'] } },
      },
    ],
    containers: [
      main({
        workingDir: '/app/site',
        env: [
          { name: 'A', value: '$(B)' },
          { name: 'B', valueFrom: { configMapKeyRef: { name: 'c', key: 'k', optional: true } } },
          { name: 'C', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
          {
            name: 'D',
            valueFrom: { fieldRef: { fieldPath: "metadata.labels['example.com/App']" } },
          },
          {
            name: 'E',
            valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } },
          },
        ],
        envFrom: [{ prefix: 'X_', configMapRef: { name: 'c' } }, { secretRef: { name: 's' } }],
        ports: [{ name: 'http', containerPort: 8080 }],
        livenessProbe: { httpGet: { port: 'http', path: '/healthz' } },
        readinessProbe: { tcpSocket: { port: 8080 }, successThreshold: 2 },
        lifecycle: { preStop: { sleep: { seconds: 2 } }, postStart: { exec: { command: ['x'] } } },
        resources: { limits: { memory: '64Mi', 'ephemeral-storage': 1000 } },
        securityContext: { runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
        volumeMounts: [
          { name: 'data', mountPath: '/data', subPath: 'a/b' },
          { name: 'all', mountPath: '/etc/all', readOnly: true },
        ],
      }),
    ],
    volumes: [
      { name: 'data' },
      { name: 'ram', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
      {
        name: 'all',
        projected: {
          sources: [
            { configMap: { name: 'c', items: [{ key: 'k', path: 'x/k' }] } },
            { secret: { name: 's' } },
            {
              downwardAPI: {
                items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }],
              },
            },
          ],
        },
      },
      { name: 'host', hostPath: { path: '/srv/data', type: 'Directory' } },
    ],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Gt', values: ['3'] }] }],
        },
      },
    },
    securityContext: {},
    activeDeadlineSeconds: 100,
    hostname: 'p',
  });
  assert.deepEqual(pods.validate?.(pod, { operation: 'create', previous: undefined }), []);
  const [container] = pod.spec.containers;
  assert.deepEqual(pod.spec.volumes?.[0], { name: 'data', emptyDir: {} });
  assert.equal(pod.spec.volumes?.[2]?.projected?.defaultMode, 420);
  assert.deepEqual(container?.resources?.requests, { memory: '64Mi', 'ephemeral-storage': '1000' });
  assert.deepEqual(container?.livenessProbe, {
    httpGet: { port: 'http', path: '/healthz', scheme: 'HTTP' },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  assert.equal(pod.spec.initContainers?.[0]?.imagePullPolicy, 'IfNotPresent');
  const twice = structuredClone(pod);
  pods.applyDefaults?.(twice);
  assert.deepEqual(twice, pod);
});

test('what contradicts itself, leads out of its place or is not held here is refused by its field', () => {
  const c = 'spec.containers[0]';
  const mount = (fields: object): object =>
    withMain(
      { volumeMounts: [{ name: 'data', mountPath: '/data', ...fields }] },
      { volumes: data },
    );
  const variable = (fields: object): object => withMain({ env: [{ name: 'A', ...fields }] });
  const volume = (source: object): object => withMain({}, { volumes: [{ name: 'v', ...source }] });
  const items = (...paths: string[]): object =>
    volume({ configMap: { name: 'c', items: paths.map((path) => ({ key: 'k', path })) } });
  const cases: readonly [object, ...string[]][] = [
    [withMain({}, { setHostnameAsFQDN: true }), 'spec.setHostnameAsFQDN: not yet'],
    [withMain({ ports: [{ containerPort: 1, hostPort: 1 }] }), `${c}.ports[0].hostPort: not yet`],
    [
      withMain(
        { securityContext: { runAsUser: 0, runAsNonRoot: true } },
        { securityContext: { runAsGroup: 0 } },
      ),
      'spec.securityContext.runAsGroup: FieldValueNotSupported',
      `${c}.securityContext.runAsUser: FieldValueNotSupported`,
    ],
    [
      withMain({ securityContext: { seccompProfile: { type: 'Unconfined' } } }),
      `${c}.securityContext.seccompProfile.type: FieldValueNotSupported`,
    ],
    [
      withMain({ securityContext: { seLinuxOptions: {} } }),
      `${c}.securityContext.seLinuxOptions: not yet`,
    ],
    [volume({ ephemeral: {} }), 'spec.volumes[0].ephemeral: not yet'],
    [
      volume({ persistentVolumeClaim: {} }),
      'spec.volumes[0].persistentVolumeClaim.claimName: FieldValueRequired',
    ],
    [withMain({ restartPolicy: 'Always' }), `${c}.restartPolicy: not yet`],
    [withMain({ colour: 'red' }), `${c}.colour: unknown`],
    [
      withMain({ securityContext: { privileged: true, capabilities: { add: ['NET_ADMIN'] } } }),
      `${c}.securityContext.privileged: FieldValueNotSupported`,
      `${c}.securityContext.capabilities.add: FieldValueNotSupported`,
    ],
    [withMain({}, { hostNetwork: true }), 'spec.hostNetwork: FieldValueNotSupported'],
    [withMain({ tty: true }), `${c}.tty: FieldValueNotSupported`],
    [mount({ subPath: '../x' }), `${c}.volumeMounts[0].subPath: FieldValueInvalid`],
    [mount({ subPath: '/x' }), `${c}.volumeMounts[0].subPath: FieldValueInvalid`],
    [mount({ subPath: 'a/../../x' }), `${c}.volumeMounts[0].subPath: FieldValueInvalid`],
    [mount({ mountPath: 'data' }), `${c}.volumeMounts[0].mountPath: FieldValueInvalid`],
    [mount({ mountPath: '/usr' }), `${c}.volumeMounts[0].mountPath: FieldValueInvalid`],
    [mount({ mountPath: '/app' }), `${c}.volumeMounts[0].mountPath: FieldValueInvalid`],
    [mount({ mountPath: '/proc/self' }), `${c}.volumeMounts[0].mountPath: FieldValueInvalid`],
    [mount({ name: 'other' }), `${c}.volumeMounts[0].name: FieldValueInvalid`],
    [
      withMain(
        {
          volumeMounts: [
            { name: 'data', mountPath: '/d' },
            { name: 'data', mountPath: '/d' },
          ],
        },
        { volumes: data },
      ),
      `${c}.volumeMounts[1]: FieldValueDuplicate`,
    ],
    [withMain({}, { volumes: [...data, ...data] }), 'spec.volumes[1]: FieldValueDuplicate'],
    [
      withMain({}, { initContainers: [main()] }),
      'spec.initContainers[0].name: FieldValueDuplicate',
    ],
    [
      withMain(
        {},
        { initContainers: [{ name: 'i', image: 'a', livenessProbe: { grpc: { port: 1 } } }] },
      ),
      'spec.initContainers[0].livenessProbe: FieldValueForbidden',
    ],
    [
      variable({ value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }),
      `${c}.env[0].valueFrom: FieldValueForbidden`,
    ],
    [variable({ valueFrom: {} }), `${c}.env[0].valueFrom: FieldValueRequired`],
    [
      variable({ valueFrom: { fieldRef: { fieldPath: 'spec.containers' } } }),
      `${c}.env[0].valueFrom.fieldRef.fieldPath: FieldValueInvalid`,
    ],
    [
      variable({ valueFrom: { configMapKeyRef: { key: 'k' } } }),
      `${c}.env[0].valueFrom.configMapKeyRef.name: FieldValueRequired`,
    ],
    [withMain({ env: [{ name: '1A' }] }), `${c}.env[0].name: FieldValueInvalid`],
    [withMain({ envFrom: [{}] }), `${c}.envFrom[0]: FieldValueRequired`],
    [withMain({ livenessProbe: {} }), `${c}.livenessProbe: FieldValueRequired`],
    [
      withMain({ livenessProbe: { exec: { command: [] } } }),
      `${c}.livenessProbe.exec.command: FieldValueRequired`,
    ],
    [
      withMain({ livenessProbe: { grpc: { port: 1 }, successThreshold: 2 } }),
      `${c}.livenessProbe.successThreshold: FieldValueInvalid`,
    ],
    [
      withMain({ readinessProbe: { httpGet: { port: 'web' } } }),
      `${c}.readinessProbe.httpGet.port: FieldValueInvalid`,
    ],
    [withMain({ lifecycle: { preStop: {} } }), `${c}.lifecycle.preStop: FieldValueRequired`],
    [withMain({ workingDir: 'app' }), `${c}.workingDir: FieldValueInvalid`],
    [
      withMain({ resources: { requests: { memory: '-1' } } }),
      `${c}.resources.requests[memory]: FieldValueInvalid`,
    ],
    [
      volume({ emptyDir: {}, configMap: { name: 'c' } }),
      'spec.volumes[0].configMap: FieldValueForbidden',
    ],
    [
      volume({ hostPath: { path: '/srv/../etc' } }),
      'spec.volumes[0].hostPath.path: FieldValueInvalid',
    ],
    [items('..data/x'), 'spec.volumes[0].configMap.items[0].path: FieldValueInvalid'],
    [items('a/../../b'), 'spec.volumes[0].configMap.items[0].path: FieldValueInvalid'],
    [items('a', 'a'), 'spec.volumes[0].configMap.items[1].path: FieldValueDuplicate'],
    [items('a', 'a/b'), 'spec.volumes[0].configMap.items[0].path: FieldValueDuplicate'],
    [
      volume({ projected: { sources: [{}] } }),
      'spec.volumes[0].projected.sources[0]: FieldValueRequired',
    ],
    [
      volume({ secret: { secretName: 's', defaultMode: 4095 } }),
      'spec.volumes[0].secret.defaultMode: FieldValueInvalid',
    ],
    [withMain({}, { activeDeadlineSeconds: 0 }), 'spec.activeDeadlineSeconds: FieldValueInvalid'],
  ];
  for (const [spec, ...expected] of cases) {
    assert.deepEqual(refusals(spec), expected, JSON.stringify(spec));
  }
});

test('the quality class follows from what is asked for', () => {
  const limits = { cpu: '1', memory: '64Mi' };
  const cases: readonly [object, string][] = [
    [{}, 'BestEffort'],
    [{ requests: { cpu: '0' } }, 'BestEffort'],
    [{ requests: { cpu: '100m' } }, 'Burstable'],
    [{ limits: { memory: '64Mi' } }, 'Burstable'],
    [{ limits }, 'Guaranteed'],
    [{ limits, requests: { cpu: '1000m' } }, 'Guaranteed'],
    [{ limits, requests: { cpu: '500m' } }, 'Burstable'],
  ];
  for (const [resources, expected] of cases) {
    const pod = made(withMain({ resources }));
    const served = pods.facets.fold(pods.facets.split(pod)) as Pod;
    assert.equal(served.status?.qosClass, expected, JSON.stringify(resources));
  }
});

test('how far init containers are is told before anything else, and sidecars count as containers', () => {
  const column = (name: string, pod: Pod): unknown =>
    pods.columns.find((found) => found.name === name)?.value(pod, 0);
  const pod = made({
    initContainers: [
      { name: 'first', image: 'a:1' },
      { name: 'side', image: 'a:1', restartPolicy: 'Always' },
      { name: 'last', image: 'a:1' },
    ],
    containers: [main()],
  });
  const done = { state: { terminated: { exitCode: 0, reason: 'Completed' } }, restartCount: 2 };
  const waits = { state: { waiting: { reason: 'PodInitializing' } } };
  const runs = { state: { running: {} }, started: true, ready: true, restartCount: 1 };
  const crashes = { state: { waiting: { reason: 'CrashLoopBackOff' } } };
  const cells = (init: readonly object[], own: object, phase = 'Pending'): unknown[] => {
    const names = ['first', 'side', 'last'];
    const given = {
      ...pod,
      status: {
        phase,
        initContainerStatuses: init.map((status, at) => ({
          name: names[at],
          restartCount: 0,
          ...status,
        })),
        containerStatuses: [{ name: 'main', restartCount: 0, ...own }],
      },
    } as unknown as Pod;
    return ['Ready', 'Status', 'Restarts'].map((name) => column(name, given));
  };
  assert.deepEqual(cells([{ state: { running: {} } }, waits, waits], waits), [
    '0/2',
    'Init:0/3',
    '0',
  ]);
  assert.deepEqual(cells([crashes, waits, waits], waits), ['0/2', 'Init:CrashLoopBackOff', '0']);
  assert.deepEqual(cells([done, runs, waits], waits), ['1/2', 'Init:2/3', '3']);
  assert.deepEqual(cells([done, runs, done], waits), ['1/2', 'PodInitializing', '1']);
  assert.deepEqual(cells([done, runs, done], runs, 'Running'), ['2/2', 'Running', '2']);
});

test('what charts say of users and groups is accepted, with one warning that it is another', () => {
  const plain = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
  const quiet = made(withMain({ securityContext: plain }, { securityContext: plain }));
  assert.deepEqual(pods.warnings?.(quiet), []);
  const spec = withMain(
    { securityContext: { runAsUser: 1000 } },
    {
      imagePullSecrets: [{ name: 'registry' }],
      securityContext: {
        ...plain,
        runAsUser: 1000,
        runAsGroup: 3_000_000,
        fsGroup: 0,
        fsGroupChangePolicy: 'OnRootMismatch',
        supplementalGroups: [4],
      },
    },
  );
  assert.deepEqual(refusals(spec), []);
  const warning =
    'runAsUser, runAsGroup, fsGroup, supplementalGroups not taken: every pod runs as a user and group of its own, which own what it may write';
  assert.deepEqual(pods.warnings?.(made(spec)), [`spec: ${warning}`]);
  const template = { spec };
  for (const [kind, held, path] of [
    ['Deployment', { template }, 'spec.template.spec'],
    ['StatefulSet', { template }, 'spec.template.spec'],
    ['DaemonSet', { template }, 'spec.template.spec'],
    ['ReplicaSet', { template }, 'spec.template.spec'],
    ['Job', { template }, 'spec.template.spec'],
    ['CronJob', { jobTemplate: { spec: { template } } }, 'spec.jobTemplate.spec.template.spec'],
  ] as const) {
    const definition = builtInDefinitions.find((other) => other.kind === kind)!;
    const object = { kind, metadata: { name: 'x' }, spec: held } as unknown as ApiObject;
    assert.deepEqual(definition.warnings?.(object), [`${path}: ${warning}`], kind);
  }
});
