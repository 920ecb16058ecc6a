import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyJson } from '#base/mod.ts';
import { serviceAddressOnNode, serviceNetworkFor } from './service-network.ts';
import { serviceDefinition } from './service.ts';
import type { Service, ServiceSpec } from './service-types.ts';

function service(name: string, spec: ServiceSpec): Service {
  const made: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', uid: name },
    spec: copyJson(spec as never),
  };
  serviceDefinition.applyDefaults?.(made);
  return made;
}

function problems(made: Service, others: readonly Service[] = [], previous?: Service): string[] {
  const context = { previous, others: () => others, serviceNetwork: '127.129' };
  const operation = previous === undefined ? 'create' : 'update';
  return [
    ...(serviceDefinition.settle?.(made, context) ?? []),
    ...(serviceDefinition.validate?.(made, { operation, previous }) ?? []),
  ].map(({ field, message }) => `${field}: ${message}`);
}

const web: ServiceSpec = { ports: [{ port: 80, targetPort: 'http' }] };

test('every service gets an address of its own, the same one when it is made again', () => {
  const made: Service[] = [];
  for (let count = 0; count < 600; count += 1) {
    const next = service(`s${count}`, web);
    assert.deepEqual(problems(next, made), []);
    made.push(next);
  }
  const addresses = made.map(({ spec }) => spec.clusterIP ?? '');
  assert.equal(new Set(addresses).size, 600);
  const inFirst = addresses.filter((address) => address.startsWith('127.129.0.'));
  assert.equal(inFirst.length, 254);
  const again = service('s7', web);
  problems(
    again,
    made.filter(({ metadata }) => metadata.name !== 's7'),
  );
  assert.equal(again.spec.clusterIP, addresses[7]);
  assert.deepEqual(again.spec.clusterIPs, [addresses[7]]);
});

test('an address or node port that is taken is refused with who has it', () => {
  const first = service('first', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] });
  assert.deepEqual(problems(first), []);
  const second = service('second', {
    type: 'NodePort',
    clusterIP: first.spec.clusterIP ?? '',
    ports: [{ port: 80, nodePort: 30_080 }],
  });
  assert.deepEqual(problems(second, [first]), [
    `spec.clusterIP: ${first.spec.clusterIP} is already allocated: Service default/first has it`,
    'spec.ports[0].nodePort: 30080: provided port is already allocated: Service default/first has it',
  ]);
  const foreign = service('foreign', { ...web, clusterIP: '10.0.0.1' });
  assert.match(problems(foreign)[0] ?? '', /no address for services/);
  const outside = service('outside', { type: 'NodePort', ports: [{ port: 80, nodePort: 8080 }] });
  assert.match(problems(outside)[0] ?? '', /between 30000 and 32767/);
  const automatic = service('automatic', { type: 'NodePort', ports: [{ port: 80 }, { port: 81 }] });
  problems(automatic, [first]);
  const ports = automatic.spec.ports?.map(({ nodePort }) => nodePort) ?? [];
  assert.equal(new Set([30_080, ...ports]).size, 3);
});

test('an update that leaves out what was chosen keeps it, and cannot change it', () => {
  const before = service('web', { type: 'NodePort', ports: [{ port: 80 }] });
  problems(before);
  const put = service('web', { type: 'NodePort', ports: [{ port: 80, name: 'http' }] });
  assert.deepEqual(problems(put, [before], before), []);
  assert.equal(put.spec.clusterIP, before.spec.clusterIP);
  assert.equal(put.spec.ports?.[0]?.nodePort, before.spec.ports?.[0]?.nodePort);
  const plain = copyJson(before as never) as Service;
  plain.spec.type = 'ClusterIP';
  serviceDefinition.applyDefaults?.(plain);
  assert.deepEqual(problems(plain, [before], before), []);
  assert.equal(plain.spec.ports?.[0]?.nodePort, undefined);
  const moved = service('web', { ...web, clusterIP: '127.129.0.250' });
  assert.deepEqual(problems(moved, [before], before), ['spec.clusterIP: field is immutable']);
  const elsewhere = copyJson(plain as never) as Service;
  Object.assign(elsewhere.spec, { type: 'ExternalName', externalName: 'example.org' });
  serviceDefinition.applyDefaults?.(elsewhere);
  assert.deepEqual(problems(elsewhere, [plain], plain), []);
  assert.equal(elsewhere.spec.clusterIP, undefined);
});

test('what a service cannot be is refused', () => {
  const refused: readonly (readonly [ServiceSpec, RegExp])[] = [
    [{}, /name at least one port/],
    [{ ports: [{ port: 80 }, { port: 81 }] }, /every port needs a name/],
    [
      {
        ports: [
          { name: 'a', port: 80 },
          { name: 'a', port: 81 },
        ],
      },
      /Duplicate value/,
    ],
    [{ ports: [{ port: 53, protocol: 'SCTP' }] }, /TCP and UDP only/],
    [{ ports: [{ port: 80, nodePort: 30_000 }] }, /only a Service of type NodePort/],
    [{ type: 'ExternalName' }, /must be given for ExternalName/],
    [{ ...web, externalName: 'example.org' }, /only a Service of type ExternalName/],
    [{ ...web, type: 'NodePort', clusterIP: 'None' }, /may not be None/],
    [{ ports: [{ port: 80, targetPort: 70_000 }] }, /between 1 and 65535/],
  ];
  for (const [spec, expected] of refused) {
    assert.match(problems(service('bad', spec)).join('\n'), expected);
  }
  assert.deepEqual(problems(service('names', { clusterIP: 'None' })), []);
});

test('the network of services lies apart from that of pods and from the machine’s own address', () => {
  const networks = Array.from({ length: 255 }, (_, index) => `127.${index + 1}`);
  for (const network of networks) {
    const own = serviceNetworkFor(network);
    assert.notEqual(own, network);
    assert.notEqual(own, '127.0');
  }
  assert.equal(serviceNetworkFor('127.1'), '127.129');
  assert.equal(serviceAddressOnNode('127.129.0.4', 7), '127.129.7.4');
  assert.equal(serviceAddressOnNode('127.129.201.4', 7), undefined);
});

test('a load balancer has what a node port has, stays pending, and says that there is none', () => {
  const made = service('web', { type: 'LoadBalancer', ports: [{ port: 80 }] });
  assert.deepEqual(problems(made), []);
  const [nodePort] = (made.spec.ports ?? []).map((port) => port.nodePort ?? 0);
  assert.ok(nodePort !== undefined && nodePort >= 30_000, `${nodePort}`);
  assert.deepEqual(
    serviceDefinition.columns?.slice(0, 4).map((shown) => shown.value(made, 0)),
    ['LoadBalancer', made.spec.clusterIP, '<pending>', `80:${nodePort}/TCP`],
  );
  assert.deepEqual(serviceDefinition.warnings?.(made), [
    'spec.type: there are no load balancers outside the fleet: the Service is reached by its address and node ports',
  ]);
  assert.deepEqual(serviceDefinition.warnings?.(service('plain', web)), []);
  const narrowed = service('web', { type: 'ClusterIP', ports: [{ port: 80, nodePort }] });
  assert.deepEqual(problems(narrowed, [], made), []);
  assert.equal(narrowed.spec.ports?.[0]?.nodePort, undefined);
});
