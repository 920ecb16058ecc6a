/** Renewal and revocation over the real store, keys and disk. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { textOf, type Uid, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { silentLogger, type Clock } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeKeys,
  createNodeRandom,
} from '#platform/io/node/mod.ts';
import { openStore, type Store } from '#platform/store/mod.ts';
import {
  createJoinTokens,
  createNodeCertificates,
  type JoinTokens,
  type NodeCertificates,
  nodeIdentityResource,
  nodeSubject,
  openCertificateAuthority,
} from './mod.ts';

const keys = createNodeKeys();
const random = createNodeRandom();
const lifeMs = 3_600_000;
const dayMs = 86_400_000;

interface Opened {
  readonly store: Store;
  readonly tokens: JoinTokens;
  readonly certificates: NodeCertificates;
  /** As after a restart of the server. */
  readonly reopened: () => NodeCertificates;
  readonly wallMs: () => number;
  readonly passTime: (durationMs: number) => void;
}

async function withFleet(body: (opened: Opened) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'selvage-renew-'));
  let laterMs = 0;
  const real = createNodeClock();
  const clock: Clock = {
    bootMs: () => real.bootMs() + laterMs,
    monotonicMs: () => real.monotonicMs() + laterMs,
    wallMs: () => real.wallMs() + laterMs,
  };
  const disk = createNodeDisk(folder);
  const store = await openStore({ disk: disk.within('store'), random, logger: silentLogger });
  const opened: NodeCertificates[] = [];
  try {
    const authority = await openCertificateAuthority({
      disk: disk.within('authority'),
      keys,
      clock,
      random,
    });
    const reopened = (): NodeCertificates => {
      const certificates = createNodeCertificates({ store, authority, keys, clock, lifeMs });
      opened.push(certificates);
      return certificates;
    };
    await body({
      store,
      tokens: createJoinTokens({
        ...{ store, authority, keys, clock, random },
        certificateLifeMs: lifeMs,
      }),
      certificates: reopened(),
      reopened,
      wallMs: () => clock.wallMs(),
      passTime: (durationMs) => {
        laterMs += durationMs;
      },
    });
  } finally {
    for (const certificates of opened) certificates.close();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function newRequest(nodeName: string): Promise<string> {
  return keys.createRequest(await keys.createKeyPair(), nodeSubject(nodeName));
}

interface Joined {
  readonly nodeName: string;
  readonly certificateRequestPem: string;
  readonly serialNumber: string;
}

async function joinNow(tokens: JoinTokens, nodeName: string, requestPem?: string): Promise<Joined> {
  const { token } = await tokens.createJoinToken({ site: 'oslo-1', region: 'north' });
  const certificateRequestPem = requestPem ?? (await newRequest(nodeName));
  const answer = await tokens.redeemJoinToken({ token, nodeName, certificateRequestPem });
  const { serialNumber } = keys.readCertificate(answer.certificatePem);
  return { nodeName, certificateRequestPem, serialNumber };
}

const remoteAddress = '192.0.2.1';

async function renewedSerial(certificates: NodeCertificates, joined: Joined): Promise<string> {
  const { nodeName, certificateRequestPem } = joined;
  const request = { nodeName, certificateRequestPem, remoteAddress };
  const { certificatePem } = await certificates.renew(request);
  return keys.readCertificate(certificatePem).serialNumber;
}

async function refusal(work: Promise<unknown>): Promise<readonly [number, string]> {
  try {
    await work;
  } catch (thrown) {
    assert.ok(thrown instanceof StatusError, String(thrown));
    return [thrown.httpStatus, thrown.message];
  }
  return [200, ''];
}

async function removeNode(store: Store, name: string): Promise<void> {
  const node = store.get({ resource: 'nodes', namespace: '', name });
  assert.ok(node !== undefined);
  await store.transact(() => ({
    changes: [{ type: 'delete', key: node.key, uid: node.uid }],
    result: undefined,
  }));
}

test('the key that joined is certified anew, before and long after its certificate ended', () =>
  withFleet(async ({ store, tokens, certificates, passTime, wallMs }) => {
    const joined = await joinNow(tokens, 'n1');
    const { revision } = store;
    for (const laterMs of [0, lifeMs / 2, lifeMs * 3, 400 * dayMs]) {
      passTime(laterMs);
      const { certificatePem } = await certificates.renew({ ...joined, remoteAddress });
      const facts = keys.readCertificate(certificatePem);
      const request = await keys.readRequest(joined.certificateRequestPem);
      assert.equal(facts.publicKeyPem, request.publicKeyPem);
      assert.deepEqual(facts.subject, nodeSubject('n1'));
      assert.deepEqual(facts.uris, ['spiffe://selvage/node/n1']);
      const leftMs = facts.notAfterMs - wallMs();
      assert.ok(leftMs > lifeMs - 5_000 && leftMs <= lifeMs, String(leftMs));
      assert.equal(facts.serialNumber.slice(0, 16), joined.serialNumber.slice(0, 16));
      assert.notEqual(facts.serialNumber, joined.serialNumber);
    }
    assert.equal(store.revision, revision, 'a renewal writes nothing, so a full disk stops none');
  }));

test('another key, another name, a Node that is gone or made anew: nothing is certified', () =>
  withFleet(async ({ store, tokens, certificates }) => {
    const joined = await joinNow(tokens, 'n1');
    await joinNow(tokens, 'n2');
    const ask = (nodeName: string, certificateRequestPem: string) =>
      refusal(certificates.renew({ nodeName, certificateRequestPem, remoteAddress }));
    const stranger = await newRequest('n1');
    const words = /no node ".+" with this key is known here.*join with a new token/s;
    for (const [status, text] of [
      await ask('n1', stranger),
      await ask('n2', joined.certificateRequestPem),
      await ask('never', joined.certificateRequestPem),
    ]) {
      assert.equal(status, 401);
      assert.match(text, words);
    }
    assert.equal((await ask('n1', 'nonsense'))[0], 422);
    // A request whose signature is of another key than it names proves nothing.
    const lines = joined.certificateRequestPem.split('\n');
    const at = lines.length - 4;
    lines[at] = (lines[at] ?? '').replace(/^./, (digit) => (digit === 'A' ? 'B' : 'A'));
    assert.equal((await ask('n1', lines.join('\n')))[0], 422);
    await removeNode(store, 'n1');
    assert.equal((await ask('n1', joined.certificateRequestPem))[0], 401);
    await store.transact(() => ({
      changes: [
        {
          type: 'put',
          key: { resource: 'nodes', namespace: '', name: 'n1' },
          uid: random.uuid() as Uid,
          facet: 'intent',
          bytes: utf8('{}'),
        },
      ],
      result: undefined,
    }));
    assert.equal((await ask('n1', joined.certificateRequestPem))[0], 401);
  }));

test('a revocation covers every certificate over the key, at once and after a restart', () =>
  withFleet(async ({ store, tokens, certificates, reopened }) => {
    const [bad, good] = [await joinNow(tokens, 'bad'), await joinNow(tokens, 'good')];
    const serials = [bad.serialNumber, await renewedSerial(certificates, bad)];
    let told = 0;
    certificates.onRevoked(() => (told += 1));
    // What is being signed while the key is revoked is refused as well.
    const [late, revocation] = await Promise.all([
      renewedSerial(certificates, bad).catch(() => undefined),
      certificates.revoke({ nodeName: 'bad', reason: 'stolen' }),
    ]);
    if (late !== undefined) serials.push(late);
    for (const known of [certificates, reopened()]) {
      assert.deepEqual(
        serials.map((serial) => known.isRevoked(serial)),
        serials.map(() => true),
      );
      assert.equal(known.isRevoked(good.serialNumber), false);
      assert.equal(known.isRevoked('0'), false);
    }
    assert.equal(told, 1);
    assert.deepEqual(await certificates.revoke({ nodeName: 'bad', reason: 'again' }), revocation);
    const [status, text] = await refusal(renewedSerial(certificates, bad));
    assert.equal(status, 401);
    assert.match(text, /was revoked\. To let the machine back in: .*kubectl delete node bad/);
    await renewedSerial(certificates, good);

    const node = store.get({ resource: 'nodes', namespace: '', name: 'bad' });
    const intent = JSON.parse(textOf(node?.facets.intent?.bytes ?? utf8('null')));
    assert.equal(intent.spec.unschedulable, true);
    assert.equal(intent.metadata.annotations['selvage.dev/revoked'], revocation.revokedAt);
    assert.deepEqual(
      [
        (await refusal(certificates.revoke({ nodeName: 'never' })))[0],
        (await refusal(certificates.revoke({ nodeName: 'good', reason: 'x'.repeat(1_025) })))[0],
      ],
      [404, 422],
    );
  }));

test('a machine comes back under its name with a new key only, and the old one stays out', () =>
  withFleet(async ({ store, tokens, certificates, passTime }) => {
    const before = await joinNow(tokens, 'n1');
    await certificates.revoke({ nodeName: 'n1' });
    await removeNode(store, 'n1');
    const [status, text] = await refusal(joinNow(tokens, 'n1', before.certificateRequestPem));
    assert.equal(status, 401);
    assert.match(text, /remove the folder "identity"/);
    const after = await joinNow(tokens, 'n1');
    await renewedSerial(certificates, after);
    assert.equal((await refusal(renewedSerial(certificates, before)))[0], 401);
    assert.equal(certificates.isRevoked(before.serialNumber), true);
    assert.equal(certificates.isRevoked(after.serialNumber), false);

    // A name that is taken over without a revocation ends the key before it just so.
    await removeNode(store, 'n1');
    const third = await joinNow(tokens, 'n1');
    assert.deepEqual(
      [before, after, third].map((joined) => certificates.isRevoked(joined.serialNumber)),
      [true, true, false],
    );

    // When no certificate can live any more, nothing of a node that is gone is kept.
    await removeNode(store, 'n1');
    await joinNow(tokens, 'other');
    passTime(32 * dayMs);
    await joinNow(tokens, 'another');
    const kept = store.list(nodeIdentityResource).map((object) => object.key.name);
    assert.deepEqual(kept, ['another', 'other']);
  }));

test('a token that was used gives no certificate to a key that was revoked since', () =>
  withFleet(async ({ tokens, certificates }) => {
    const { token } = await tokens.createJoinToken({ site: 'oslo-1', region: 'north' });
    const redemption = { token, nodeName: 'n1', certificateRequestPem: await newRequest('n1') };
    await tokens.redeemJoinToken(redemption);
    await tokens.redeemJoinToken(redemption);
    await certificates.revoke({ nodeName: 'n1' });
    assert.equal((await refusal(tokens.redeemJoinToken(redemption)))[0], 401);
  }));

test('who asks too often is told to wait, and others are not', () =>
  withFleet(async ({ tokens, certificates, passTime }) => {
    const [n1, n2] = [await joinNow(tokens, 'n1'), await joinNow(tokens, 'n2')];
    const askUntilRefused = async (from: string, joined: Joined): Promise<number> => {
      for (let count = 0; count < 300; count += 1) {
        const work = certificates.renew({ ...joined, remoteAddress: from });
        const [status] = await refusal(work);
        if (status === 429) return count;
      }
      return Number.POSITIVE_INFINITY;
    };
    assert.ok((await askUntilRefused('192.0.2.7', n1)) <= 25);
    await renewedSerial(certificates, n2);
    const stranger = { ...n2, nodeName: 'never' };
    assert.ok((await askUntilRefused('192.0.2.8', stranger)) <= 250);
    await renewedSerial(certificates, n2);
    passTime(60_000);
    await renewedSerial(certificates, n1);
  }));
