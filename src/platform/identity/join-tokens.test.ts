/** Joining by token over the real store, keys and disk. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isJsonObject, textOf } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { silentLogger, type Clock } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeKeys,
  createNodeRandom,
} from '#platform/io/node/mod.ts';
import { openStore, type Facet, type Store } from '#platform/store/mod.ts';
import {
  authorityPinOf,
  createJoinTokens,
  joinTokenResource,
  nodeSubject,
  openCertificateAuthority,
  parseJoinToken,
  type CertificateAuthority,
  type JoinTokens,
} from './mod.ts';

const keys = createNodeKeys();
const random = createNodeRandom();

interface Opened {
  readonly store: Store;
  readonly authority: CertificateAuthority;
  readonly tokens: JoinTokens;
  readonly passTime: (durationMs: number) => void;
}

/** A fleet's identity in a fresh folder, with a wall clock that the test moves. */
async function withTokens(body: (opened: Opened) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'selvage-join-'));
  let laterMs = 0;
  const real = createNodeClock();
  const clock: Clock = { ...real, wallMs: () => real.wallMs() + laterMs };
  const disk = createNodeDisk(folder);
  const store = await openStore({
    disk: disk.within('store'),
    random,
    logger: silentLogger,
  });
  try {
    const authority = await openCertificateAuthority({
      disk: disk.within('authority'),
      keys,
      clock,
      random,
    });
    const tokens = createJoinTokens({ store, authority, keys, clock, random });
    await body({
      store,
      authority,
      tokens,
      passTime: (durationMs) => {
        laterMs += durationMs;
      },
    });
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function requestOf(nodeName: string): Promise<string> {
  return keys.createRequest(await keys.createKeyPair(), nodeSubject(nodeName));
}

async function joinAs(tokens: JoinTokens, token: string, nodeName: string): Promise<string> {
  const certificateRequestPem = await requestOf(nodeName);
  return (await tokens.redeemJoinToken({ token, nodeName, certificateRequestPem })).certificatePem;
}

async function statusOf(work: Promise<unknown>): Promise<number> {
  try {
    await work;
  } catch (thrown) {
    assert.ok(thrown instanceof StatusError, String(thrown));
    return thrown.httpStatus;
  }
  return 200;
}

function facetOf(store: Store, nodeName: string, facet: Facet): unknown {
  const bytes = store.get({ resource: 'nodes', namespace: '', name: nodeName })?.facets[facet]
    ?.bytes;
  return bytes === undefined ? undefined : JSON.parse(textOf(bytes));
}

const site = { site: 'oslo-1', region: 'north' };

test('a token makes one node, with its place, its range and its certificate', () =>
  withTokens(async ({ store, authority, tokens }) => {
    const { token } = await tokens.createJoinToken(site);
    const parsed = parseJoinToken(token);
    assert.equal(parsed.authorityPin, authorityPinOf(authority.caPem));
    const stored = store.list(joinTokenResource).map((object) => ({
      text: textOf(object.facets.intent?.bytes ?? new Uint8Array(0)),
    }));
    assert.equal(stored.length, 1);
    assert.ok(!stored[0]?.text.includes(parsed.secret), 'the store never holds the secret');

    const facts = keys.readCertificate(await joinAs(tokens, token, 'n1'));
    assert.deepEqual(facts.subject, nodeSubject('n1'));
    assert.deepEqual(facts.uris, ['spiffe://selvage/node/n1']);
    assert.deepEqual(facetOf(store, 'n1', 'assignment'), { ...site, podCIDR: '127.1.1.0/24' });
    const intent = facetOf(store, 'n1', 'intent');
    assert.ok(isJsonObject(intent) && intent['kind'] === 'Node');
    assert.deepEqual(intent['spec'], {});

    const before = store.revision;
    assert.equal(await statusOf(joinAs(tokens, token, 'n1')), 401);
    assert.equal(await statusOf(joinAs(tokens, token, 'n2')), 401);
    assert.equal(store.revision, before, 'a refusal writes nothing');
  }));

test('the lowest free range goes to the next node', () =>
  withTokens(async ({ store, tokens }) => {
    const add = async (nodeName: string): Promise<unknown> => {
      const { token } = await tokens.createJoinToken(site);
      await joinAs(tokens, token, nodeName);
      const assignment = facetOf(store, nodeName, 'assignment');
      return isJsonObject(assignment) ? assignment['podCIDR'] : undefined;
    };
    assert.equal(await add('a'), '127.1.1.0/24');
    assert.equal(await add('b'), '127.1.2.0/24');
    const removed = store.get({ resource: 'nodes', namespace: '', name: 'a' });
    assert.ok(removed !== undefined);
    await store.transact(() => ({
      changes: [{ type: 'delete', key: removed.key, uid: removed.uid }],
      result: undefined,
    }));
    assert.equal(await add('c'), '127.1.1.0/24');
  }));

test('of many who redeem one token at once exactly one succeeds', () =>
  withTokens(async ({ store, tokens }) => {
    const { token } = await tokens.createJoinToken(site);
    const statuses = await Promise.all(
      Array.from({ length: 6 }, (_, index) => statusOf(joinAs(tokens, token, `n${index}`))),
    );
    assert.deepEqual(
      statuses.toSorted((left, right) => left - right),
      [200, 401, 401, 401, 401, 401],
    );
    assert.equal(store.list('nodes').length, 1);
  }));

test('of two tokens for one name exactly one succeeds, and the other stays good', () =>
  withTokens(async ({ tokens }) => {
    const [one, two] = [await tokens.createJoinToken(site), await tokens.createJoinToken(site)];
    const statuses = await Promise.all([
      statusOf(joinAs(tokens, one.token, 'same')),
      statusOf(joinAs(tokens, two.token, 'same')),
    ]);
    assert.deepEqual(
      statuses.toSorted((left, right) => left - right),
      [200, 409],
    );
    const unused = statuses[0] === 409 ? one : two;
    assert.equal(await statusOf(joinAs(tokens, unused.token, 'other')), 200);
  }));

test('a join whose answer was lost can be repeated with the same key, and only so', () =>
  withTokens(async ({ store, tokens, passTime }) => {
    const { token } = await tokens.createJoinToken(site);
    const redemption = { token, nodeName: 'n1', certificateRequestPem: await requestOf('n1') };
    await tokens.redeemJoinToken(redemption);
    const { revision } = store;
    const again = await tokens.redeemJoinToken(redemption);
    assert.deepEqual(keys.readCertificate(again.certificatePem).subject, nodeSubject('n1'));
    assert.equal(store.revision, revision);
    assert.equal(await statusOf(tokens.redeemJoinToken({ ...redemption, nodeName: 'n2' })), 401);
    passTime(600_001);
    assert.equal(await statusOf(tokens.redeemJoinToken(redemption)), 401);
  }));

test('what is no good token, name or request is refused and uses nothing up', () =>
  withTokens(async ({ store, tokens, passTime }) => {
    const { token, expiresAtMs } = await tokens.createJoinToken({ ...site, expiresInMs: 60_000 });
    const { revision } = store;
    const [, id = '', secret = '', pin = ''] = token.split('.');
    const wrongSecret = secret.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const wrongPin = pin.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    for (const bad of [
      '',
      'selvage-join',
      `selvage-join.${id}.${wrongSecret}.${pin}`,
      `selvage-join.${id}.${secret}.${wrongPin}`,
      `selvage-join.0000000000000000.${secret}.${pin}`,
      `${token}0`,
    ]) {
      assert.equal(await statusOf(joinAs(tokens, bad, 'n1')), 401, bad);
    }
    for (const name of ['', 'Upper', '-n', 'a..b', 'n'.repeat(64), '../n', 'n1\n']) {
      const redemption = { token, nodeName: name, certificateRequestPem: await requestOf('n1') };
      assert.equal(await statusOf(tokens.redeemJoinToken(redemption)), 422, name);
    }
    const noRequest = { token, nodeName: 'n1', certificateRequestPem: 'nonsense' };
    assert.equal(await statusOf(tokens.redeemJoinToken(noRequest)), 422);
    assert.equal(await statusOf(tokens.createJoinToken({ ...site, expiresInMs: 1 })), 422);
    assert.equal(store.revision, revision);
    passTime(expiresAtMs);
    assert.equal(await statusOf(joinAs(tokens, token, 'n1')), 401);
    // The next token clears the expired one away.
    await tokens.createJoinToken(site);
    assert.equal(store.list(joinTokenResource).length, 1);
  }));
