/** A node that keeps its certificate fresh, over days of virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorText, isJsonObject, type JsonObject, textOf, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { type HttpHandler, NetError, readBody, silentLogger } from '#platform/io/mod.ts';
import { createWorld, type Host, type World } from '#platform/sim/mod.ts';
import { openStore } from '#platform/store/mod.ts';
import {
  createJoinTokens,
  createNodeCertificates,
  joinFleet,
  type JoinTokens,
  keepRenewed,
  loadNodeIdentity,
  type NodeCertificates,
  type NodeIdentity,
  openCertificateAuthority,
  type RenewedIdentity,
} from './mod.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

interface Fleet {
  readonly world: World;
  readonly server: Host;
  readonly certificates: NodeCertificates;
  readonly tokens: JoinTokens;
  /** Names of the nodes whose renewals were answered, in order. */
  readonly renewals: string[];
  newNode(name: string): Promise<NodeIdentity>;
  /** Whether this node can open a link now. */
  canConnect(name: string, renewed: RenewedIdentity): Promise<boolean>;
  pass(durationMs: number): Promise<void>;
  settle<Result>(work: Promise<Result>): Promise<Result>;
}

function textField(body: JsonObject, field: string): string {
  const value = body[field];
  assert.ok(typeof value === 'string');
  return value;
}

async function openFleet(lifeMs: number): Promise<Fleet> {
  const world = createWorld({
    seed: 7,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const server = world.host('server');
  const { disk, keys, clock, random, net, httpServer } = server.ports;
  const settle = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, 60_000);
  const apiAddress = { host: server.address, port: 7443 };
  const linkAddress = { host: server.address, port: 7444 };
  const renewals: string[] = [];
  const opened = await settle(
    (async () => {
      for (const folder of ['store', 'authority']) await disk.makeDirectory(folder);
      const store = await openStore({ disk: disk.within('store'), random, logger: silentLogger });
      const authority = await openCertificateAuthority({
        disk: disk.within('authority'),
        ...{ keys, clock, random },
      });
      const shared = { store, authority, keys, clock, random };
      const tokens = createJoinTokens({ ...shared, certificateLifeMs: lifeMs });
      const certificates = createNodeCertificates({ ...shared, lifeMs });
      const credentials = await authority.issueServer({
        dnsNames: [],
        ipAddresses: [server.address],
        lifetimeMs: 1_000 * dayMs,
      });
      const tls = {
        ...{ credentials, trustPem: authority.caPem },
        isRevoked: (serialNumber: string) => certificates.isRevoked(serialNumber),
      };
      const handler: HttpHandler = async (request) => {
        const body: unknown = JSON.parse(textOf(await readBody(request.body, 65_536)));
        assert.ok(isJsonObject(body));
        const nodeName = textField(body, 'nodeName');
        const asked = { nodeName, certificateRequestPem: textField(body, 'certificateRequestPem') };
        const answer = (status: number, value: object) => ({
          ...{ status, headers: {} },
          body: utf8(JSON.stringify(value)),
        });
        try {
          if (request.path.endsWith('/nodejoins')) {
            const token = (request.headers['authorization'] ?? '').slice('Bearer '.length);
            const joined = await tokens.redeemJoinToken({ token, ...asked });
            return answer(201, { ...joined, linkAddress });
          }
          assert.equal(request.peer, undefined, 'a renewal needs no certificate');
          const { remoteAddress } = request;
          const renewed = await certificates.renew({ ...asked, remoteAddress });
          renewals.push(nodeName);
          return answer(201, renewed);
        } catch (thrown) {
          if (!(thrown instanceof StatusError)) throw thrown;
          return answer(thrown.httpStatus, thrown.toStatus());
        }
      };
      const connectionsMax = 100;
      await httpServer.listen(
        { address: apiAddress, tls: { ...tls, clientCertificate: 'request' }, connectionsMax },
        handler,
      );
      await net.listen(
        { address: linkAddress, tls: { ...tls, clientCertificate: 'require' }, connectionsMax },
        (connection) => connection.write(utf8('hello')),
      );
      return { tokens, certificates, caPem: authority.caPem };
    })(),
  );
  return {
    ...{ world, server, renewals, settle },
    pass: (durationMs) => world.run(world.clock.monotonicMs() + durationMs),
    ...{ tokens: opened.tokens, certificates: opened.certificates },
    newNode: (name) =>
      settle(
        (async () => {
          const { token } = await opened.tokens.createJoinToken({ site: 's', region: 'r' });
          const directions = { server: apiAddress, caPem: opened.caPem, token };
          return joinFleet(world.host(name).ports, name, directions);
        })(),
      ),
    canConnect: (name, renewed) =>
      settle(
        new Promise<boolean>((resolve, reject) => {
          const { ports } = world.host(name);
          ports.net
            .connect({ address: linkAddress, tls: renewed.tls(), timeoutMs: 5_000 })
            .then((connection) => {
              connection.onData(() => {
                resolve(true);
                connection.destroy();
              });
              connection.onClose(() => resolve(false));
            })
            .catch((thrown: unknown) => {
              if (thrown instanceof NetError) resolve(false);
              else reject(thrown);
            });
        }),
      ),
  };
}

function endOf(host: Host, renewed: RenewedIdentity): number {
  const { credentials } = renewed.tls();
  return host.ports.keys.readCertificate(credentials?.certificatePem ?? '').notAfterMs;
}

test('a certificate is renewed between a half and two thirds of its life, for ever, by itself', async () => {
  const fleet = await openFleet(dayMs);
  const host = fleet.world.host('n1');
  const renewed = keepRenewed(host.ports, await fleet.newNode('n1'));
  let renewalsBefore = 0;
  for (let day = 0; day < 10; day += 1) {
    const lastEndMs = endOf(host, renewed);
    const sinceMs = lastEndMs - dayMs;
    const isRenewed = (): boolean => fleet.renewals.length > renewalsBefore;
    assert.ok(await fleet.world.runUntil(isRenewed, dayMs));
    renewalsBefore = fleet.renewals.length;
    const parts = (host.ports.clock.wallMs() - sinceMs) / dayMs;
    assert.ok(parts >= 0.5 && parts <= 2 / 3 + 0.01, `after ${parts} of its life`);
    await fleet.pass(60_000);
    assert.ok(endOf(host, renewed) > lastEndMs);
  }
  // What is used is what is on disk.
  const kept = await fleet.settle(loadNodeIdentity(host.ports.disk));
  assert.equal(kept?.tls.credentials?.certificatePem, renewed.tls().credentials?.certificatePem);
  renewed.close();
});

test('a server that is away past the end is asked until it answers; the node is let in again', async () => {
  const fleet = await openFleet(hourMs);
  const host = fleet.world.host('n1');
  const renewed = keepRenewed(host.ports, await fleet.newNode('n1'));
  assert.equal(await fleet.canConnect('n1', renewed), true);
  fleet.world.faults.partition('n1', 'server', 'both');
  await fleet.pass(5 * hourMs);
  assert.ok(endOf(host, renewed) < host.ports.clock.wallMs());
  fleet.world.faults.heal();
  assert.equal(await fleet.canConnect('n1', renewed), false);
  const isRenewed = (): boolean => fleet.renewals.length > 0;
  assert.ok(await fleet.world.runUntil(isRenewed, hourMs / 5));
  await fleet.pass(1_000);
  assert.equal(await fleet.canConnect('n1', renewed), true);
  renewed.close();
});

test('an agent that starts with a certificate that has ended renews it first of all', async () => {
  const fleet = await openFleet(hourMs);
  const host = fleet.world.host('n1');
  await fleet.newNode('n1');
  await fleet.pass(40 * dayMs);
  const identity = await fleet.settle(loadNodeIdentity(host.ports.disk));
  assert.ok(identity !== undefined);
  const renewed = keepRenewed(host.ports, identity);
  assert.equal(await fleet.canConnect('n1', renewed), false);
  await fleet.pass(2_000);
  assert.equal(await fleet.canConnect('n1', renewed), true);
  assert.equal(fleet.renewals.length, 1);
  renewed.close();
});

test('a clock that is behind cannot keep a node out, and one that jumps cannot stop renewals', async () => {
  const fleet = await openFleet(dayMs);
  const host = fleet.world.host('n1');
  const renewed = keepRenewed(host.ports, await fleet.newNode('n1'));
  await fleet.pass(5 * dayMs);
  const before = fleet.renewals.length;
  // Behind by three days: by its own clock the certificate is good for long.
  host.clockFace.wallOffsetMs = -3 * dayMs;
  await fleet.pass(2 * dayMs);
  assert.equal(fleet.renewals.length, before);
  let attempts = 0;
  while (!(await fleet.canConnect('n1', renewed))) {
    attempts += 1;
    assert.ok(attempts < 10, 'refusals tell that something is wrong with the certificate');
    await fleet.pass(5_000);
  }
  assert.equal(fleet.renewals.length, before + 1);
  // Right again, at once: the jump forward is taken at the next look.
  host.clockFace.wallOffsetMs = 0;
  await fleet.pass(dayMs);
  assert.ok(fleet.renewals.length >= before + 2);
  assert.ok(endOf(host, renewed) > host.ports.clock.wallMs());
  renewed.close();
});

test('a revoked node stays out, asks ever more seldom, and says what to do', async () => {
  const fleet = await openFleet(dayMs);
  const lines: string[] = [];
  const host = fleet.world.host('n1');
  const identity = await fleet.newNode('n1');
  const logger = {
    log: (level: string, message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void lines.push(`${level} ${message} ${errorText(fields['reason'])}`),
    with: () => logger,
  };
  const renewed = keepRenewed({ ...host.ports, logger }, identity);
  await fleet.settle(fleet.certificates.revoke({ nodeName: 'n1', reason: 'stolen' }));
  for (let minute = 0; minute < 600; minute += 1) {
    assert.equal(await fleet.canConnect('n1', renewed), false);
    await fleet.pass(20_000);
  }
  assert.ok(lines.length >= 2 && lines.length <= 40, `${lines.length} attempts in 200 minutes`);
  assert.match(
    lines[0] ?? '',
    /^error the certificate could not be renewed .*was revoked\. .*kubectl delete node n1.*selvage join-token/,
  );
  assert.deepEqual(fleet.renewals, []);
  renewed.close();
});
