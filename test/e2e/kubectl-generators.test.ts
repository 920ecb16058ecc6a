// `kubectl create KIND`, which newer clients send as protobuf: what is stored is what the
// same words give as a manifest.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startFleet, type TestFleet } from './helpers/fleet.ts';

let fleet: TestFleet;

before(async () => {
  fleet = await startFleet(['--nodes', '1']);
});

after(() => fleet.remove());

const generators: readonly (readonly [kind: string, words: readonly string[]])[] = [
  ['namespace', ['namespace', 'shop']],
  ['configmap', ['configmap', 'settings', '--from-literal=colour=blue', '--from-literal=size=3']],
  ['secret', ['secret', 'generic', 'password', '--from-literal=word=open sesame']],
  [
    'deployment',
    ['deployment', 'web', '--image=nothing:1', '--replicas=0', '--port=8080', '--', 'a', 'b'],
  ],
  ['job', ['job', 'once', '--image=nothing:1', '--', 'main.mjs']],
  ['cronjob', ['cronjob', 'nightly', '--image=nothing:1', '--schedule=0 3 * * *']],
  ['service', ['service', 'clusterip', 'web', '--tcp=80:8080']],
  [
    'priorityclass',
    ['priorityclass', 'urgent', '--value=1000', '--description=soon', '--preemption-policy=Never'],
  ],
  [
    'poddisruptionbudget',
    ['poddisruptionbudget', 'calm', '--selector=app=web', '--max-unavailable=25%'],
  ],
  ['quota', ['quota', 'few', '--hard=cpu=1,memory=1Gi,pods=2', '--scopes=NotBestEffort']],
  [
    'ingress',
    ['ingress', 'front', '--rule=example.com/shop*=web:8080,tls=certificate', '--class=proxy'],
  ],
  ['serviceaccount', ['serviceaccount', 'robot']],
  ['role', ['role', 'reader', '--verb=get,list', '--resource=pods,pods/log']],
  ['clusterrole', ['clusterrole', 'nodes', '--verb=get', '--resource=nodes']],
  ['rolebinding', ['rolebinding', 'readers', '--role=reader', '--user=ann', '--group=team']],
  ['clusterrolebinding', ['clusterrolebinding', 'nodes', '--clusterrole=nodes', '--user=ann']],
];

/** What a person wrote, without what the server adds. */
function written(object: Record<string, unknown>): unknown {
  const { metadata, spec, data, type, value, preemptionPolicy, description, ...access } =
    object as {
      metadata: { name: string; labels?: object };
      spec?: Record<string, unknown>;
      data?: object;
      type?: string;
      value?: number;
      preemptionPolicy?: string;
      description?: string;
      rules?: object;
      subjects?: object;
      roleRef?: object;
    };
  const { clusterIP: _one, clusterIPs: _all, selector: _selector, ...rest } = spec ?? {};
  const { rules, subjects, roleRef } = access;
  const top = { data, type, value, preemptionPolicy, description, rules, subjects, roleRef };
  return { name: metadata.name, spec: rest, ...top };
}

for (const [kind, words] of generators) {
  test(`kubectl create ${kind} stores what its manifest says`, async () => {
    const dry = await fleet.kubectl.ok([
      'create',
      ...words.slice(0, 1),
      '--dry-run=client',
      '-o',
      'json',
      ...words.slice(1),
    ]);
    const [name = ''] = words.slice(kind === 'secret' || kind === 'service' ? 2 : 1);
    await fleet.kubectl.ok(['create', ...words]);
    const stored = await fleet.kubectl.json<Record<string, unknown>>(['get', kind, name]);
    await fleet.kubectl.ok(['delete', kind, name, '--wait=true']);
    await fleet.kubectl.ok(['create', '-f', '-'], dry);
    const again = await fleet.kubectl.json<Record<string, unknown>>(['get', kind, name]);
    const template = (object: Record<string, unknown>): unknown =>
      JSON.parse(
        JSON.stringify(written(object), (field, value: unknown) =>
          field === 'controller-uid' || field.startsWith('batch.kubernetes.io/')
            ? undefined
            : value,
        ),
      );
    assert.deepEqual(template(stored), template(again));
    await fleet.kubectl.ok(['delete', kind, name, '--wait=false']);
  });
}

test('kubectl create job --from takes over what the cron job says, whatever that is', async () => {
  const keyRef = { name: 'settings', key: 'colour' };
  const container = {
    name: 'main',
    image: 'nothing:1',
    env: [
      { name: 'COLOUR', valueFrom: { configMapKeyRef: keyRef } },
      { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      {
        name: 'CPU',
        valueFrom: {
          resourceFieldRef: { containerName: 'main', resource: 'limits.cpu', divisor: '1m' },
        },
      },
    ],
    envFrom: [{ secretRef: { name: 'password', optional: true } }],
    volumeMounts: [{ name: 'scratch', mountPath: '/data' }],
    livenessProbe: { tcpSocket: { port: 8080 } },
    lifecycle: { preStop: { sleep: { seconds: 0 } } },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
  const terms = [{ matchExpressions: [{ key: 'disk', operator: 'Exists' }] }];
  const required = { nodeSelectorTerms: terms };
  const spec = {
    restartPolicy: 'Never',
    containers: [container],
    volumes: [{ name: 'scratch', emptyDir: {} }],
    tolerations: [{ operator: 'Exists' }],
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
  };
  const nightly = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'nightly' },
    spec: { schedule: '0 3 * * *', suspend: true, jobTemplate: { spec: { template: { spec } } } },
  };
  await fleet.kubectl.ok(['create', '-f', '-'], JSON.stringify(nightly));
  await fleet.kubectl.ok(['create', 'job', 'now', '--from=cronjob/nightly']);
  interface WithTemplate {
    readonly spec: { readonly template: { readonly spec: object } };
  }
  const job = await fleet.kubectl.json<WithTemplate>(['get', 'job', 'now']);
  const from = await fleet.kubectl.json<{ spec: { jobTemplate: WithTemplate } }>([
    'get',
    'cronjob',
    'nightly',
  ]);
  assert.deepEqual(job.spec.template.spec, from.spec.jobTemplate.spec.template.spec);
  await fleet.kubectl.ok(['delete', 'cronjob/nightly', '--wait=false']);
});
