/**
 * How a machine becomes a node: an operator asks for a token for a site, the
 * machine redeems it once for a certificate and a place among the nodes.
 *
 * Invariants:
 * 1. A token makes at most one node, also where several redeem it at once: the check,
 *    the use and the new node are one transaction.
 * 2. The request is verified and the certificate is signed before the transaction, so
 *    that nothing can fail after it but the way back. For that, the same key may
 *    redeem again for the same node until the token expires, and changes nothing.
 * 3. The store never holds a secret, only its hash, compared in constant time.
 */
import { timingSafeEqual } from 'node:crypto';
import { hexOf, isJsonObject, type JsonObject, textOf, type Uid, utf8 } from '#base/mod.ts';
import { dnsSubdomainProblem, StatusError } from '#platform/api/mod.ts';
import { timestampOf, type Clock, type Keys, type Random } from '#platform/io/mod.ts';
import type { Change, ObjectKey, Store, StoredObject, StoreView } from '#platform/store/mod.ts';

import type { CertificateAuthority } from './authority.ts';
import { requestKeyHash } from './node-certificates.ts';
import {
  joinedRecordChanges,
  nodeKey,
  nodeRecordKey,
  nodeRecordOf,
  revokedText,
} from './node-records.ts';
import { lowestFreePodRange, podRangesMax } from './pod-range.ts';
import {
  authorityPinOf,
  formatJoinToken,
  type JoinTokenText,
  parseJoinToken,
  secretHashOf,
  tokenIdBytes,
  tokenSecretBytes,
} from './token-text.ts';
import { createWorkGate } from './work-gate.ts';

export const joinTokenResource = 'jointokens.selvage.dev';
const expiresInDefaultMs = 600_000;
const expiresInMinMs = 1_000;
const expiresInMaxMs = 30 * 86_400_000;
const tokensMax = 10_000;
const podNetworkDefault = '127.1';
/** How many ended tokens a new one clears away. */
const clearedMax = 100;
/** A node's name is a label value too (kubernetes.io/hostname). */
const nodeNameMaxLength = 63;

export interface JoinTokensDependencies {
  /** The main store. */
  readonly store: Store;
  readonly authority: CertificateAuthority;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: Random;
  /** First two numbers of the nodes' address ranges; `127.1` where absent. */
  readonly podNetwork?: string;
  /** Of the first certificate; 24 hours where absent. */
  readonly certificateLifeMs?: number;
}

export interface JoinTokens {
  /**
   * A token for one node of a site. The caller has checked that the site exists and
   * is in that region. Throws StatusError: 422 for a lifetime out of bounds, 429
   * where too many tokens wait.
   */
  createJoinToken(options: {
    readonly site: string;
    readonly region: string;
    /** Default 10 minutes. */
    readonly expiresInMs?: number;
  }): Promise<{ readonly token: string; readonly expiresAtMs: number }>;
  /**
   * Makes the node and its certificate. Throws StatusError: 401 for a token that is
   * unknown, expired or used, 409 for a name that is taken, 422 for a bad name or
   * request, 507 where no address range is left.
   */
  redeemJoinToken(options: {
    readonly token: string;
    readonly nodeName: string;
    readonly certificateRequestPem: string;
  }): Promise<{ readonly certificatePem: string; readonly caPem: string }>;
}

type TokenState = {
  createdTime: string;
  secretHash: string;
  site: string;
  region: string;
  expiresAtMs: number;
  /** Who used it: the node's name and a hash of its key. */
  usedBy?: { nodeName: string; publicKeyHash: string };
};

const tokenKey = (id: string): ObjectKey => ({
  resource: joinTokenResource,
  namespace: '',
  name: id,
});
const bytesOf = (value: JsonObject): Uint8Array => utf8(JSON.stringify(value));

const mend = 'ask an administrator for a new join token';
const unknownToken = (): StatusError =>
  new StatusError('Unauthorized', `the join token is not valid here; ${mend}`);

/** Every join looks at all tokens and nodes; a version of an object is read once. */
const readStates = new WeakMap<StoredObject, TokenState>();
const readRanges = new WeakMap<StoredObject, string>();

function stateOf(object: StoredObject): TokenState {
  let state = readStates.get(object);
  if (state === undefined) {
    state = readState(object);
    readStates.set(object, state);
  }
  return state;
}

function readState(object: StoredObject): TokenState {
  const facet = object.facets.intent;
  const parsed: unknown = facet === undefined ? undefined : JSON.parse(textOf(facet.bytes));
  if (!isJsonObject(parsed) || !isJsonObject(parsed['spec'])) {
    throw new StatusError('InternalError', `the join token ${object.key.name} is not readable`);
  }
  // Written by this file alone.
  return parsed['spec'] as unknown as TokenState;
}

function encodeState(id: string, spec: TokenState): Uint8Array {
  return bytesOf({
    apiVersion: 'selvage.dev/v1',
    kind: 'JoinToken',
    metadata: { name: id, creationTimestamp: spec.createdTime },
    spec,
  });
}

/** Finds the token and checks that it may be used by this key for this node. */
function checkToken(
  view: StoreView,
  token: JoinTokenText,
  nowMs: number,
): { readonly object: StoredObject; readonly state: TokenState } {
  const object = view.get(tokenKey(token.id));
  if (object === undefined) throw unknownToken();
  const state = stateOf(object);
  if (!timingSafeEqual(utf8(state.secretHash), utf8(secretHashOf(token.secret)))) {
    throw unknownToken();
  }
  if (state.expiresAtMs <= nowMs) {
    throw new StatusError(
      'Unauthorized',
      `the join token expired at ${timestampOf(state.expiresAtMs)}; ${mend}`,
    );
  }
  return { object, state };
}

function checkNodeName(nodeName: string): void {
  const problem =
    nodeName.length > nodeNameMaxLength
      ? `must be no more than ${nodeNameMaxLength} characters`
      : dnsSubdomainProblem(nodeName);
  if (problem === undefined) return;
  const cause = { reason: 'FieldValueInvalid', message: problem, field: 'nodeName' };
  throw new StatusError('Invalid', `nodeName: ${problem}`, { causes: [cause] });
}

/** Ended tokens, so that a store never fills with them. */
function endedTokens(tokens: readonly StoredObject[], nowMs: number): readonly StoredObject[] {
  return tokens.filter((object) => stateOf(object).expiresAtMs <= nowMs).slice(0, clearedMax);
}

function takenRanges(view: StoreView): ReadonlySet<string> {
  const taken = new Set<string>();
  for (const node of view.list('nodes')) {
    const range = readRanges.get(node) ?? readRange(node);
    if (range === undefined) continue;
    readRanges.set(node, range);
    taken.add(range);
  }
  return taken;
}

function readRange(node: StoredObject): string | undefined {
  const bytes = node.facets.assignment?.bytes;
  const assignment: unknown = bytes === undefined ? undefined : JSON.parse(textOf(bytes));
  const range = isJsonObject(assignment) ? assignment['podCIDR'] : undefined;
  return typeof range === 'string' ? range : undefined;
}

/** The two facets of a new node. */
function nodeChanges(
  view: StoreView,
  nodeName: string,
  uid: Uid,
  createdTime: string,
  state: TokenState,
  podNetwork: string,
): readonly Change[] {
  const podCIDR = lowestFreePodRange(podNetwork, takenRanges(view));
  if (podCIDR === undefined) {
    throw new StatusError(
      'InsufficientStorage',
      `all ${podRangesMax(podNetwork)} address ranges are in use`,
    );
  }
  const put = (facet: 'intent' | 'assignment', value: JsonObject): Change => ({
    type: 'put',
    key: nodeKey(nodeName),
    uid,
    facet,
    bytes: bytesOf(value),
  });
  return [
    put('intent', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: nodeName, uid, generation: 1, creationTimestamp: createdTime },
      spec: {},
    }),
    put('assignment', { region: state.region, site: state.site, podCIDR }),
  ];
}

/** A repeated join gets no certificate over a key that was revoked meanwhile. */
function checkNotRevoked(view: StoreView, nodeName: string): void {
  const object = view.get(nodeRecordKey(nodeName));
  if (object === undefined || nodeRecordOf(object).revoked === undefined) return;
  throw new StatusError('Unauthorized', revokedText(nodeName));
}

function usedAnswer(usedBy: { nodeName: string }): StatusError {
  return new StatusError(
    'Unauthorized',
    `the join token was used by node ${usedBy.nodeName} already; ${mend}`,
  );
}

class StoredJoinTokens implements JoinTokens {
  readonly #dependencies: JoinTokensDependencies;
  readonly #gate = createWorkGate();

  constructor(dependencies: JoinTokensDependencies) {
    this.#dependencies = dependencies;
  }

  async createJoinToken(options: {
    readonly site: string;
    readonly region: string;
    readonly expiresInMs?: number;
  }): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const { store, authority, clock, random } = this.#dependencies;
    const expiresInMs = options.expiresInMs ?? expiresInDefaultMs;
    if (!(expiresInMs >= expiresInMinMs && expiresInMs <= expiresInMaxMs)) {
      const message = `must be between ${expiresInMinMs / 1000} and ${expiresInMaxMs / 1000} seconds`;
      const cause = { reason: 'FieldValueInvalid', message, field: 'expiresInSeconds' };
      throw new StatusError('Invalid', `expiresInSeconds: ${message}`, { causes: [cause] });
    }
    const nowMs = clock.wallMs();
    const text: JoinTokenText = {
      id: hexOf(random.bytes(tokenIdBytes)),
      secret: hexOf(random.bytes(tokenSecretBytes)),
      authorityPin: authorityPinOf(authority.caPem),
    };
    const uid = random.uuid() as Uid;
    const expiresAtMs = Math.floor(nowMs + expiresInMs);
    const { site, region } = options;
    const secretHash = secretHashOf(text.secret);
    const createdTime = timestampOf(nowMs);
    const spec = { createdTime, secretHash, site, region, expiresAtMs };
    const bytes = encodeState(text.id, spec);
    await store.transact((view) => {
      const tokens = view.list(joinTokenResource);
      const ended = endedTokens(tokens, nowMs);
      if (tokens.length - ended.length >= tokensMax) {
        throw new StatusError('TooManyRequests', `${tokensMax} join tokens are waiting already`, {
          retryAfterSeconds: 60,
        });
      }
      const changes: Change[] = ended.map((object) => ({
        type: 'delete',
        key: object.key,
        uid: object.uid,
      }));
      changes.push({ type: 'put', key: tokenKey(text.id), uid, facet: 'intent', bytes });
      return { changes, result: undefined };
    });
    return { token: formatJoinToken(text), expiresAtMs };
  }

  async redeemJoinToken(options: {
    readonly token: string;
    readonly nodeName: string;
    readonly certificateRequestPem: string;
  }): Promise<{ readonly certificatePem: string; readonly caPem: string }> {
    // Of many who use one token at once, most learn here that it is used up.
    return this.#gate.run(() => this.#redeem(options));
  }

  async #redeem(options: {
    readonly token: string;
    readonly nodeName: string;
    readonly certificateRequestPem: string;
  }): Promise<{ readonly certificatePem: string; readonly caPem: string }> {
    const { store, authority, keys, clock, random } = this.#dependencies;
    const { podNetwork = podNetworkDefault, certificateLifeMs } = this.#dependencies;
    const { nodeName } = options;
    const token = this.#parse(options.token);
    const nowMs = clock.wallMs();
    // Who has no good token makes no other work for this server.
    const { usedBy: user } = checkToken(store, token, nowMs).state;
    if (user !== undefined && user.nodeName !== nodeName) throw usedAnswer(user);
    checkNodeName(nodeName);
    const publicKeyHash = await requestKeyHash(keys, options.certificateRequestPem);
    const certificatePem = await authority.issueNode(
      options.certificateRequestPem,
      nodeName,
      certificateLifeMs === undefined ? {} : { lifetimeMs: certificateLifeMs },
    );
    const uid = random.uuid() as Uid;
    const recordUid = random.uuid() as Uid;
    const time = timestampOf(nowMs);
    await store.transact((view) => {
      const { object, state } = checkToken(view, token, nowMs);
      const { usedBy } = state;
      const node = view.get(nodeKey(nodeName));
      if (usedBy !== undefined) {
        const isSame = usedBy.nodeName === nodeName && usedBy.publicKeyHash === publicKeyHash;
        // The answer to the first time was lost on its way: nothing changes.
        if (isSame && node !== undefined) {
          checkNotRevoked(view, nodeName);
          return { changes: [], result: undefined };
        }
        throw usedAnswer(usedBy);
      }
      if (node !== undefined) {
        throw new StatusError(
          'AlreadyExists',
          `nodes "${nodeName}" already exists; choose another name, or delete that node first`,
          { kind: 'nodes', name: nodeName },
        );
      }
      const used: Change = {
        type: 'put',
        key: object.key,
        uid: object.uid,
        facet: 'intent',
        bytes: encodeState(token.id, { ...state, usedBy: { nodeName, publicKeyHash } }),
      };
      return {
        changes: [
          used,
          ...nodeChanges(view, nodeName, uid, time, state, podNetwork),
          ...joinedRecordChanges(view, {
            nodeName,
            nodeUid: uid,
            publicKeyHash,
            time,
            nowMs,
            newUid: recordUid,
          }),
        ],
        result: undefined,
      };
    });
    return { certificatePem, caPem: authority.caPem };
  }

  #parse(text: string): JoinTokenText {
    let token: JoinTokenText;
    try {
      token = parseJoinToken(text);
    } catch (cause) {
      throw new StatusError('Unauthorized', `not a join token; ${mend}`, { cause });
    }
    if (token.authorityPin !== authorityPinOf(this.#dependencies.authority.caPem)) {
      throw new StatusError(
        'Unauthorized',
        'the join token is of another fleet; check the address of the server, or ask its administrator for a join token',
      );
    }
    return token;
  }
}

/** Join tokens kept in the main store, for one authority. */
export function createJoinTokens(dependencies: JoinTokensDependencies): JoinTokens {
  return new StoredJoinTokens(dependencies);
}
