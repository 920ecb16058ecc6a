/**
 * Certificates of nodes after they have joined: renewed for the key that joined,
 * and refused once that key is revoked.
 *
 * A renewal is proved by the signature of the certificate request alone, whether
 * the certificate of the moment has ended or not: one way, which is therefore used
 * every day. Who repeats somebody's old request gets a certificate over a key that
 * he does not have, which is of no use to him; so a request needs no freshness.
 *
 * Invariants:
 * 1. Only the key that joined is certified, only while its Node is there and its key
 *    is not revoked.
 * 2. A revocation is durable before it is answered, and is known to `isRevoked` by then.
 *    It covers every certificate over the key, because their serial numbers begin
 *    with its id; so a renewal writes nothing and works while the disk is full.
 */
import { assert, isJsonObject, SelvageError, textOf, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { type Clock, type Keys, timestampOf } from '#platform/io/mod.ts';
import type { Change, Store, StoreView } from '#platform/store/mod.ts';
import type { CertificateAuthority } from './authority.ts';
import { publicKeyHashOf } from './key-id.ts';
import {
  nodeCertificateLifeMsMax,
  nodeKey,
  type NodeRecord,
  nodeRecordKey,
  nodeRecordOf,
  putNodeRecord,
  revokedText,
} from './node-records.ts';
import { createRequestRate } from './request-rate.ts';
import { followRevocations, type Revocations } from './revocations.ts';
import { createWorkGate } from './work-gate.ts';

const reasonLengthMax = 1_024;
/** For whoever asks, from one address: a site behind one address may have many nodes. */
const askedAtOnceMax = 200;
const askedPerSecond = 20;
/** For one node that has proved its key. */
const renewedAtOnceMax = 20;
const renewedPerSecond = 0.2;
const revokedAnnotation = 'selvage.dev/revoked';

export interface NodeCertificatesDependencies {
  /** The main store. */
  readonly store: Store;
  readonly authority: CertificateAuthority;
  readonly keys: Keys;
  readonly clock: Clock;
  /** Of every renewed certificate, up to 30 days. */
  readonly lifeMs: number;
}

export interface Revocation {
  readonly nodeName: string;
  /** RFC 3339: of the first time, where the key was revoked already. */
  readonly revokedAt: string;
  readonly reason: string;
}

export interface NodeCertificates extends Revocations {
  /**
   * A new certificate for the key that joined. Throws StatusError: 401 for a node or
   * key that is not known or is revoked, 422 for what is no request, 429 for too many.
   */
  renew(options: {
    readonly nodeName: string;
    readonly certificateRequestPem: string;
    /** Who asks, to bound how often. */
    readonly remoteAddress: string;
  }): Promise<{ readonly certificatePem: string }>;
  /**
   * Refuses the key of this node for ever and keeps new pods away from it. Repeating
   * it changes nothing. Throws StatusError: 404 for a node that never joined.
   */
  revoke(options: { readonly nodeName: string; readonly reason?: string }): Promise<Revocation>;
}

class StoredNodeCertificates implements NodeCertificates {
  readonly #dependencies: NodeCertificatesDependencies;
  readonly #gate = createWorkGate();
  readonly #askedBy = createRequestRate(askedAtOnceMax, askedPerSecond);
  readonly #renewedFor = createRequestRate(renewedAtOnceMax, renewedPerSecond);
  readonly #revocations: Revocations;

  constructor(dependencies: NodeCertificatesDependencies) {
    this.#dependencies = dependencies;
    const { store, lifeMs } = dependencies;
    assert(lifeMs > 0 && lifeMs <= nodeCertificateLifeMsMax, 'a life that records outlast');
    this.#revocations = followRevocations(store);
  }

  isRevoked(serialNumber: string): boolean {
    return this.#revocations.isRevoked(serialNumber);
  }

  onRevoked(listener: () => void): void {
    this.#revocations.onRevoked(listener);
  }

  close(): void {
    this.#revocations.close();
  }

  async renew(options: {
    readonly nodeName: string;
    readonly certificateRequestPem: string;
    readonly remoteAddress: string;
  }): Promise<{ readonly certificatePem: string }> {
    const { store, authority, keys, clock, lifeMs } = this.#dependencies;
    const { nodeName, certificateRequestPem, remoteAddress } = options;
    if (!this.#askedBy.take(remoteAddress, clock.monotonicMs())) throw tooOften();
    return this.#gate.run(async () => {
      // Who is nobody makes no other work for this server.
      recordOfNode(store, nodeName);
      const publicKeyHash = await requestKeyHash(keys, certificateRequestPem);
      const record = recordOfNode(store, nodeName);
      if (record.publicKeyHash !== publicKeyHash) throw unknownNode(nodeName);
      if (record.revoked !== undefined) {
        throw new StatusError('Unauthorized', revokedText(nodeName));
      }
      if (!this.#renewedFor.take(nodeName, clock.monotonicMs())) throw tooOften();
      const certificatePem = await authority.issueNode(certificateRequestPem, nodeName, {
        lifetimeMs: lifeMs,
      });
      return { certificatePem };
    });
  }

  async revoke(options: {
    readonly nodeName: string;
    readonly reason?: string;
  }): Promise<Revocation> {
    const { store, clock } = this.#dependencies;
    const { nodeName, reason = '' } = options;
    if (reason.length > reasonLengthMax) {
      const message = `must be no longer than ${reasonLengthMax} characters`;
      const cause = { reason: 'FieldValueTooLong', message, field: 'reason' };
      throw new StatusError('Invalid', `reason: ${message}`, { causes: [cause] });
    }
    const time = timestampOf(clock.wallMs());
    const { result } = await store.transact((view) => {
      const object = view.get(nodeRecordKey(nodeName));
      if (object === undefined) {
        throw new StatusError(
          'NotFound',
          `nodes ${JSON.stringify(nodeName.slice(0, 256))} has never joined this fleet: there is no key to revoke`,
          { kind: 'nodes', name: nodeName.slice(0, 256) },
        );
      }
      const record = nodeRecordOf(object);
      if (record.revoked !== undefined) return { changes: [], result: record.revoked };
      const revoked = { time, reason };
      return {
        changes: [
          putNodeRecord(nodeName, object.uid, { ...record, revoked }),
          ...cordonChanges(view, nodeName, record, time),
        ],
        result: revoked,
      };
    });
    return { nodeName, revokedAt: result.time, reason: result.reason };
  }
}

/** The Node of a revoked key takes no new pods, and says since when. */
function cordonChanges(
  view: StoreView,
  nodeName: string,
  record: NodeRecord,
  time: string,
): readonly Change[] {
  const node = view.get(nodeKey(nodeName));
  const facet = node?.facets.intent;
  if (node === undefined || facet === undefined || node.uid !== record.nodeUid) return [];
  const intent: unknown = JSON.parse(textOf(facet.bytes));
  if (!isJsonObject(intent)) return [];
  const metadata = isJsonObject(intent['metadata']) ? intent['metadata'] : {};
  const annotations = isJsonObject(metadata['annotations']) ? metadata['annotations'] : {};
  const generation = typeof metadata['generation'] === 'number' ? metadata['generation'] : 0;
  const spec = isJsonObject(intent['spec']) ? intent['spec'] : {};
  const cordoned = {
    ...intent,
    metadata: {
      ...metadata,
      generation: spec['unschedulable'] === true ? generation : generation + 1,
      annotations: { ...annotations, [revokedAnnotation]: time },
    },
    spec: { ...spec, unschedulable: true },
  };
  const bytes = utf8(JSON.stringify(cordoned));
  return [{ type: 'put', key: node.key, uid: node.uid, facet: 'intent', bytes }];
}

/** One refusal for all that is not known, so that names cannot be found out by asking. */
function unknownNode(nodeName: string): StatusError {
  return new StatusError(
    'Unauthorized',
    `no node ${JSON.stringify(nodeName.slice(0, 256))} with this key is known here. To bring the ` +
      'machine in: remove the folder "identity" from the state of its agent and join with a new ' +
      'token (selvage join-token)',
  );
}

const tooOften = (): StatusError =>
  new StatusError('TooManyRequests', 'certificates are asked for too often from there', {
    retryAfterSeconds: 10,
  });

function recordOfNode(view: StoreView, nodeName: string): NodeRecord {
  const object = view.get(nodeRecordKey(nodeName));
  const node = view.get(nodeKey(nodeName));
  if (object === undefined || node === undefined) throw unknownNode(nodeName);
  const record = nodeRecordOf(object);
  if (record.nodeUid !== node.uid) throw unknownNode(nodeName);
  return record;
}

/** The hash of the key that signed the request. Throws StatusError 422 where it is none. */
export async function requestKeyHash(keys: Keys, certificateRequestPem: string): Promise<string> {
  try {
    return publicKeyHashOf((await keys.readRequest(certificateRequestPem)).publicKeyPem);
  } catch (thrown) {
    if (!(thrown instanceof SelvageError) || thrown.code !== 'KEYS_BAD_REQUEST') throw thrown;
    const { message } = thrown;
    const cause = { reason: 'FieldValueInvalid', message, field: 'certificateRequestPem' };
    throw new StatusError('Invalid', `certificateRequestPem: ${message}`, {
      causes: [cause],
      cause: thrown,
    });
  }
}

/** Reads what is revoked from the store and follows it until `close`. */
export function createNodeCertificates(
  dependencies: NodeCertificatesDependencies,
): NodeCertificates {
  return new StoredNodeCertificates(dependencies);
}
