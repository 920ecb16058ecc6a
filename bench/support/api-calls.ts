/**
 * What the `api` benchmark asks, said to each system: the Kubernetes API of ours and of a
 * kube-apiserver, and the keys below them for etcd's JSON gateway, which has no patch (a
 * whole value is put) and knows no kinds. Both get objects of the same bytes.
 */
export type ApiSystem = 'selvage' | 'etcd' | 'kube-apiserver';

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: Buffer | undefined;
  readonly contentType: string;
  readonly expect: number;
}

export interface Calls {
  /** A ConfigMap of `objectBytes` as JSON. */
  create(name: string, turn: number): Call;
  get(name: string): Call;
  patch(name: string, turn: number): Call;
  createPod(name: string): Call;
  listPods(): Call;
  countPods(text: string): number;
  /** One piece of the ConfigMaps, for the revision that a watch begins at. */
  revision(): Call;
  /** A watch of all ConfigMaps from the answer to `revision`; each change is one line. */
  watch(revisionText: string): Call;
}

const configMaps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';
const json = 'application/json';

/** A ConfigMap of exactly `sizeBytes` as JSON. */
export function configMapText(name: string, sizeBytes: number, turn: number): string {
  const make = (filling: string): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name },
      data: { turn: String(turn), filling },
    });
  return make('x'.repeat(Math.max(0, sizeBytes - make('').length)));
}

/** As a Deployment's template has it, for no image and no node that there is. */
function pod(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'bench', tier: 'edge' } },
    spec: {
      containers: [
        {
          name: 'main',
          image: 'registry.example.com/bench/main:1',
          ports: [{ containerPort: 8080 }],
          env: [{ name: 'LEVEL', value: 'info' }],
          resources: {
            requests: { cpu: '10m', memory: '16Mi' },
            limits: { cpu: '1', memory: '64Mi' },
          },
        },
      ],
    },
  };
}

function kubernetesCalls(objectBytes: number): Calls {
  const read = (path: string): Call => ({
    ...{ method: 'GET', path, body: undefined, contentType: json, expect: 200 },
  });
  const post = (path: string, text: string): Call => ({
    ...{ method: 'POST', path, body: Buffer.from(text), contentType: json, expect: 201 },
  });
  return {
    create: (name, turn) => post(configMaps, configMapText(name, objectBytes, turn)),
    get: (name) => read(`${configMaps}/${name}`),
    patch: (name, turn) => ({
      method: 'PATCH',
      path: `${configMaps}/${name}`,
      body: Buffer.from(JSON.stringify({ data: { turn: String(turn) } })),
      contentType: 'application/merge-patch+json',
      expect: 200,
    }),
    createPod: (name) => post(pods, JSON.stringify(pod(name))),
    listPods: () => read(pods),
    countPods: (text) => (JSON.parse(text) as { items: unknown[] }).items.length,
    revision: () => read(`${configMaps}?limit=1`),
    watch(revisionText) {
      const { metadata } = JSON.parse(revisionText) as { metadata: { resourceVersion: string } };
      return read(`${configMaps}?watch=1&resourceVersion=${metadata.resourceVersion}`);
    },
  };
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const keyOf = (kind: string, name: string): string => base64(`/registry/${kind}/default/${name}`);
/** The first key that is behind all keys of the kind: '0' follows '/'. */
const endOf = (kind: string): string => base64(`/registry/${kind}/default0`);

/** `podText` is a served pod as JSON, in which `podName` stands for its name. */
function etcdCalls(objectBytes: number, podText: string, podName: string): Calls {
  const post = (path: string, body: object): Call => ({
    method: 'POST',
    path,
    body: Buffer.from(JSON.stringify(body)),
    contentType: json,
    expect: 200,
  });
  const put = (kind: string, name: string, value: string): Call =>
    post('/v3/kv/put', { key: keyOf(kind, name), value: base64(value) });
  const range = (kind: string): object => ({ key: keyOf(kind, ''), range_end: endOf(kind) });
  const write = (name: string, turn: number): Call =>
    put('configmaps', name, configMapText(name, objectBytes, turn));
  return {
    create: write,
    get: (name) => post('/v3/kv/range', { key: keyOf('configmaps', name) }),
    patch: write,
    createPod: (name) => put('pods', name, podText.replaceAll(podName, name)),
    listPods: () => post('/v3/kv/range', range('pods')),
    countPods: (text) => (JSON.parse(text) as { kvs?: unknown[] }).kvs?.length ?? 0,
    revision: () => post('/v3/kv/range', { ...range('configmaps'), limit: 1 }),
    watch(revisionText) {
      const { header } = JSON.parse(revisionText) as { header: { revision: string } };
      const start_revision = String(Number(header.revision) + 1);
      return post('/v3/watch', { create_request: { ...range('configmaps'), start_revision } });
    },
  };
}

/** How the JSON of a pod is made: ours shows it, and the peer keeps the same. */
export interface PodSample {
  readonly name: string;
  readonly text: string;
}

export function callsOf(system: ApiSystem, objectBytes: number, sample: PodSample): Calls {
  return system === 'etcd'
    ? etcdCalls(objectBytes, sample.text, sample.name)
    : kubernetesCalls(objectBytes);
}
