import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersionOf, builtInDefinitions } from '#platform/api/mod.ts';
import { type Answer, type CallOptions, type TestServer, withServer } from '../harness.contract.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const map = (rest: string): string => `{"apiVersion":"v1","kind":"ConfigMap",${rest}}`;
const named = '"metadata":{"name":"bad"}';
const yaml = { 'content-type': 'application/yaml' };
const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf' };
const merge = { 'content-type': 'application/merge-patch+json' };

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly target?: string;
  readonly options?: CallOptions;
  readonly status: number;
  readonly says: RegExp;
}

const cases: readonly Case[] = [
  { name: 'no body', status: 400, says: /needs a body/ },
  { name: 'cut JSON', options: { body: '{"a":' }, status: 400, says: /JSON/ },
  { name: 'a list', options: { body: '[]' }, status: 400, says: /one object/ },
  {
    name: 'another kind',
    options: { body: map(named).replace('ConfigMap', 'Secret') },
    status: 400,
    says: /ConfigMap/,
  },
  {
    name: 'an unknown field under Strict',
    target: `${configMaps}?fieldValidation=Strict`,
    options: { body: map(`${named},"dada":{}`) },
    status: 400,
    says: /unknown field "dada"/,
  },
  {
    name: 'a repeated key under Strict',
    target: `${configMaps}?fieldValidation=Strict`,
    options: { body: map(`${named},"data":{"a":"1","a":"2"}`) },
    status: 400,
    says: /duplicate field "data.a"/,
  },
  {
    name: 'a wrong type',
    options: { body: map(`${named},"data":"text"`) },
    status: 422,
    says: /data: .*object/,
  },
  {
    name: 'metadata of a wrong type',
    options: { body: map('"metadata":"bad"') },
    status: 422,
    says: /metadata: .*object/,
  },
  { name: 'no name', options: { body: map('"metadata":{}') }, status: 422, says: /metadata.name/ },
  {
    name: 'a resourceVersion on create',
    options: { body: map('"metadata":{"name":"bad","resourceVersion":"1"}') },
    status: 400,
    says: /resourceVersion/,
  },
  {
    name: 'another namespace than the path has',
    options: { body: map('"metadata":{"name":"bad","namespace":"kube-system"}') },
    status: 400,
    says: /kube-system/,
  },
  {
    name: '__proto__',
    options: { body: map(`${named},"data":{"__proto__":"x"}`) },
    status: 400,
    says: /__proto__/,
  },
  {
    name: '2,000 levels of nesting',
    options: { body: map(`${named},"data":${'['.repeat(2000)}${']'.repeat(2000)}`) },
    status: 400,
    says: /nest|levels|deep/i,
  },
  {
    name: '2,000 levels of nesting in YAML',
    options: { body: `a: ${'['.repeat(2000)}${']'.repeat(2000)}`, headers: yaml },
    status: 400,
    says: /nest|levels|deep/i,
  },
  {
    name: '300 KiB of annotations',
    options: {
      body: map(`"metadata":{"name":"bad","annotations":{"a":"${'x'.repeat(300 * 1024)}"}}`),
    },
    status: 422,
    says: /metadata.annotations.*262144/,
  },
  {
    name: 'a body of 10 MB',
    options: { body: map(`${named},"data":{"a":"${'x'.repeat(10_000_000)}"}`) },
    status: 413,
    says: /limit of 3145728 bytes/,
  },
  {
    name: 'a body of 10 MB that says so first',
    options: { body: map(named), headers: { 'content-length': '10000000' } },
    status: 413,
    says: /limit of 3145728 bytes/,
  },
  {
    name: 'protobuf',
    options: { body: 'k8s\0', headers: protobuf },
    status: 415,
    says: /create -f/,
  },
  {
    name: 'negative replicas',
    target: deployments,
    options: {
      body: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'bad' },
        spec: {
          replicas: -1,
          selector: { matchLabels: { a: 'b' } },
          template: {
            metadata: { labels: { a: 'b' } },
            spec: { containers: [{ name: 'c', image: 'i' }] },
          },
        },
      },
    },
    status: 422,
    says: /spec.replicas: Invalid value: -1/,
  },
  {
    name: 'a long label selector',
    method: 'GET',
    target: `${configMaps}?labelSelector=${'a'.repeat(5000)}`,
    status: 400,
    says: /at most 4096/,
  },
  {
    name: 'a long address',
    method: 'GET',
    target: `${configMaps}?x=${'a'.repeat(20_000)}`,
    status: 400,
    says: /16384/,
  },
  {
    name: 'an unknown field to select by',
    method: 'GET',
    target: `${configMaps}?fieldSelector=spec.x%3D1`,
    status: 400,
    says: /spec\.x/,
  },
  {
    name: 'a made-up continue',
    method: 'GET',
    target: `${configMaps}?continue=abc`,
    status: 400,
    says: /continue/,
  },
  {
    name: 'an apply by nobody',
    method: 'PATCH',
    target: `${configMaps}/bad`,
    options: {
      body: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\n',
      headers: { 'content-type': 'application/apply-patch+yaml' },
    },
    status: 422,
    says: /fieldManager: Required value: is required for apply patch/,
  },
  {
    name: 'an apply of another kind',
    method: 'PATCH',
    target: `${configMaps}/bad?fieldManager=me`,
    options: { body: '{}', headers: { 'content-type': 'application/apply-patch+yaml' } },
    status: 400,
    says: /this endpoint takes v1 ConfigMap/,
  },
  {
    name: 'force without an apply',
    method: 'PATCH',
    target: `${configMaps}/bad?force=true`,
    options: { body: '{}', headers: { 'content-type': 'application/merge-patch+json' } },
    status: 422,
    says: /force: Forbidden/,
  },
  {
    name: 'a field manager of more characters than a name has',
    method: 'PATCH',
    target: `${configMaps}/bad?fieldManager=${'m'.repeat(129)}`,
    options: { body: '{}', headers: { 'content-type': 'application/merge-patch+json' } },
    status: 422,
    says: /fieldManager: Too long/,
  },
  {
    name: 'a patch of what is not there',
    method: 'PATCH',
    target: `${configMaps}/bad`,
    options: { body: '{}', headers: merge },
    status: 404,
    says: /configmaps "bad" not found/,
  },
  {
    name: 'a deletion with unknown options',
    method: 'DELETE',
    target: `${configMaps}/bad`,
    options: { body: { propagation: 'x' } },
    status: 400,
    says: /propagation/,
  },
  {
    name: 'an answer in a form that is not served',
    method: 'GET',
    options: { headers: { accept: 'text/html' } },
    status: 406,
    says: /application\/json/,
  },
];

function ask(server: TestServer, item: Case): Promise<Answer> {
  return server.call(item.method ?? 'POST', item.target ?? configMaps, item.options);
}

test('bad input gets a Status that says what is wrong, and stores nothing', () =>
  withServer(async (server) => {
    const revision = server.store.revision;
    for (const item of cases) {
      const answer = await ask(server, item);
      assert.equal(answer.status, item.status, `${item.name}: ${answer.text.slice(0, 300)}`);
      assert.deepEqual(
        [answer.json['kind'], answer.json['status'], answer.json['code']],
        ['Status', 'Failure', item.status],
        item.name,
      );
      const message = JSON.stringify(answer.json['message']);
      assert.match(JSON.parse(message) as string, item.says, item.name);
      assert.ok(message.length < 2000, item.name);
    }
    assert.equal(server.store.revision, revision);
  }));

test('unknown fields are warned about where the client asks for that, and are not stored', () =>
  withServer(async (server) => {
    const body = map(`${named},"dada":{"a":"b"},"data":{"k":"v"}`);
    const warned = await server.call('POST', `${configMaps}?fieldValidation=Warn`, { body });
    assert.equal(warned.status, 201, warned.text);
    assert.equal(warned.headers['warning'], '299 - "unknown field \\"dada\\""');
    assert.equal('dada' in (await server.call('GET', `${configMaps}/bad`)).json, false);
    const ignored = await server.call('PUT', `${configMaps}/bad?fieldValidation=Ignore`, { body });
    assert.deepEqual([ignored.status, ignored.headers['warning']], [200, undefined]);
  }));

test('a YAML body is stored like a JSON one, and protobuf first in Accept still gets JSON', () =>
  withServer(async (server) => {
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\ndata:\n  k: v\n';
    const made = await server.call('POST', configMaps, { body, headers: yaml });
    assert.equal(made.status, 201, made.text);
    const read = await server.call('GET', `${configMaps}/y?pretty`, {
      headers: { accept: 'application/vnd.kubernetes.protobuf,application/json' },
    });
    assert.deepEqual(read.json['data'], { k: 'v' });
    assert.match(read.text, /\n {2}"kind": "ConfigMap"/);
  }));

test('an object with nothing but a name, or an empty spec, is never an error of the server', () =>
  withServer(async (server) => {
    const created = builtInDefinitions.filter(({ verbs }) => verbs.includes('create'));
    for (const definition of created) {
      const apiVersion = apiVersionOf(definition);
      const root = definition.group === '' ? '/api' : '/apis';
      const within = definition.namespaced ? '/namespaces/default' : '';
      for (const rest of [{}, { spec: {} }, { spec: {}, status: {} }]) {
        const body = { apiVersion, kind: definition.kind, metadata: { name: 'bare' }, ...rest };
        const target = `${root}/${apiVersion}${within}/${definition.plural}?dryRun=All`;
        const answer = await server.call('POST', target, { body });
        assert.ok(answer.status < 500, `${definition.kind}: ${answer.text.slice(0, 300)}`);
      }
    }
  }));

test('a word that every JavaScript object has as a field is like any other word', () =>
  withServer(async (server) => {
    const word = 'constructor';
    const pods = '/api/v1/namespaces/default';
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const pod = (name: string, resources: object, spec: object = {}): object => ({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name } },
      spec: { containers: [{ name: word, image: word, resources }], ...spec },
    });
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'a' }] } };
    const oneOfIt = { [word]: '1' };
    const asked: readonly (readonly [target: string, body: object, status: number])[] = [
      [
        '/apis/batch/v1/namespaces/default/cronjobs',
        {
          ...{ apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'word' } },
          spec: { schedule: word, jobTemplate: { spec: { template } } },
        },
        422,
      ],
      [
        `${rbac}/rolebindings`,
        {
          ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' },
          metadata: { name: 'word' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'word' },
          subjects: [{ kind: word, name: 'word' }],
        },
        422,
      ],
      [
        `${pods}/limitranges`,
        {
          ...{ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'word' } },
          spec: {
            limits: [
              { type: 'Container', min: oneOfIt, max: { cpu: '4' } },
              { type: 'Pod', max: oneOfIt, min: { cpu: '0' } },
            ],
          },
        },
        201,
      ],
      [
        `${pods}/resourcequotas`,
        {
          ...{ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'word' } },
          spec: { hard: { [`requests.${word}`]: '3', [word]: '3' } },
        },
        201,
      ],
      [
        '/apis/node.k8s.io/v1/runtimeclasses',
        {
          ...{ apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'word' } },
          handler: word,
          scheduling: { nodeSelector: { [word]: 'a' } },
          overhead: { podFixed: oneOfIt },
        },
        201,
      ],
      [
        `${pods}/pods`,
        pod(
          'enough',
          { requests: { ...oneOfIt, cpu: '1' }, limits: { cpu: '1', ...oneOfIt } },
          { runtimeClassName: 'word', nodeSelector: { a: 'b' } },
        ),
        201,
      ],
    ];
    for (const [target, body, status] of asked) {
      const answer = await server.call('POST', target, { body });
      assert.equal(answer.status, status, `${target}: ${answer.text.slice(0, 400)}`);
    }
  }));
