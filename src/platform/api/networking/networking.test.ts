import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ApiObject, builtInDefinitions, validateAgainstSchema } from '../mod.ts';

/** What is said of the object with its defaults: `field: message`. */
function problems(kind: string, spec: unknown, annotations = {}): string[] {
  const definition = builtInDefinitions.find((one) => one.kind === kind);
  assert.ok(definition !== undefined);
  const apiVersion = `${definition.group}/${definition.version}`;
  const metadata = { name: 'a', namespace: 'default', annotations };
  const object = structuredClone({ apiVersion, kind, metadata, spec }) as ApiObject;
  const bySchema = validateAgainstSchema(definition.schema, object);
  if (bySchema.length > 0) return bySchema.map(({ field, message }) => `${field}: ${message}`);
  definition.applyDefaults?.(object);
  const context = { operation: 'create', previous: undefined } as const;
  const errors = definition.validate?.(object, context) ?? [];
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

const backend = { service: { name: 'web', port: { number: 80 } } };
const withPath = (path: object): object => ({
  rules: [{ http: { paths: [{ pathType: 'Prefix', backend, ...path }] } }],
});

test('an ingress as people write it is taken, and what is wrong in one is named', () => {
  const whole = {
    ingressClassName: 'proxy',
    tls: [{ hosts: ['*.example.com'], secretName: 'certificate' }],
    ...withPath({ path: '/shop' }),
    defaultBackend: { resource: { kind: 'Bucket', name: 'files', apiGroup: 'example.com' } },
  };
  assert.deepEqual(problems('Ingress', whole), []);
  const cases: [object, RegExp][] = [
    [{}, /^spec: either `defaultBackend` or `rules` must be specified$/],
    [withPath({ path: 'shop' }), /paths\[0\].path: .*must be an absolute path/],
    [withPath({ path: '/a//b' }), /must not contain '\/\/'/],
    [withPath({ path: '/a/..' }), /cannot end with '\/..'/],
    [withPath({ path: '/', backend: {} }), /backend: Required value/],
    [
      withPath({ path: '/', backend: { service: { name: 'web' } } }),
      /service.port: Required value: port name or number is required/,
    ],
    [
      withPath({
        path: '/',
        backend: { service: { name: 'web', port: { name: 'a', number: 1 } } },
      }),
      /cannot set both port name & port number/,
    ],
    [
      withPath({ path: '/', backend: { ...backend, resource: { kind: 'A', name: 'a' } } }),
      /cannot set both resource and service backends/,
    ],
    [{ rules: [{ host: '10.0.0.1' }] }, /host: .*must be a DNS name, not an IP address/],
    [{ rules: [{ host: 'a.*.b' }] }, /spec.rules\[0\].host/],
    [withPath({ pathType: 'Regex' }), /pathType: Unsupported value: "Regex"/],
  ];
  for (const [spec, expected] of cases) {
    assert.match(problems('Ingress', spec).join('\n'), expected, JSON.stringify(spec));
  }
  assert.deepEqual(problems('Ingress', withPath({ pathType: 'ImplementationSpecific' })), []);
  const twice = problems('Ingress', { ...whole }, { 'kubernetes.io/ingress.class': 'old' });
  assert.match(twice.join(), /can not be set when the class field is also set/);
});

test('an ingress class names its program, and where its settings are', () => {
  const controller = 'example.com/proxy';
  assert.deepEqual(problems('IngressClass', { controller }), []);
  const cases: [object, RegExp][] = [
    [{}, /spec.controller: Required value/],
    [{ controller: 'proxy' }, /must be a domain and a path/],
    [{ controller: 'example.com/' }, /must be a domain and a path/],
    [
      { controller, parameters: { kind: 'A', name: 'a', scope: 'Namespace' } },
      /parameters.namespace: Required value/,
    ],
    [
      { controller, parameters: { kind: 'A', name: 'a', namespace: 'b' } },
      /parameters.namespace: Forbidden/,
    ],
  ];
  for (const [spec, expected] of cases) {
    assert.match(problems('IngressClass', spec).join('\n'), expected, JSON.stringify(spec));
  }
});

test('a network policy is about pods, peers and ports that can be', () => {
  const from = (peer: object): object => ({ podSelector: {}, ingress: [{ from: [peer] }] });
  const to = (port: object): object => ({ podSelector: {}, egress: [{ ports: [port] }] });
  const fine = [
    { podSelector: { matchLabels: { app: 'db' } } },
    from({ podSelector: {}, namespaceSelector: { matchLabels: { team: 'a' } } }),
    from({ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }),
    from({ ipBlock: { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] } }),
    to({ protocol: 'UDP', port: 53 }),
    to({ port: 1000, endPort: 2000 }),
    to({ port: 'dns-udp' }),
  ];
  for (const spec of fine)
    assert.deepEqual(problems('NetworkPolicy', spec), [], JSON.stringify(spec));
  const cases: [object, RegExp][] = [
    [from({}), /from\[0\]: Required value: must specify a peer/],
    [from({ ipBlock: { cidr: '10.0.0.0' } }), /ipBlock.cidr: Invalid value: "10.0.0.0"/],
    [from({ ipBlock: { cidr: '10.0.0.0/33' } }), /ipBlock.cidr/],
    [from({ ipBlock: { cidr: '1::2::3/64' } }), /ipBlock.cidr/],
    [
      from({ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] } }),
      /except\[0\]: .*must be a strict subset of `cidr`/,
    ],
    [from({ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }), /may not specify both ipBlock/],
    [to({ port: 0 }), /port: .*must be between 1 and 65535/],
    [to({ port: 'UPPER' }), /lower case letters/],
    [to({ endPort: 5 }), /port: Required value: must be specified when `endPort` is/],
    [to({ port: 9, endPort: 5 }), /endPort: .*must be greater than or equal to `port`/],
    [
      to({ port: 'web', endPort: 5 }),
      /endPort: Forbidden: may not be specified when `port` is non-numeric/,
    ],
    [{ podSelector: {}, policyTypes: ['Ingress', 'Ingress'] }, /each direction may be named once/],
  ];
  for (const [spec, expected] of cases) {
    assert.match(problems('NetworkPolicy', spec).join('\n'), expected, JSON.stringify(spec));
  }
});
