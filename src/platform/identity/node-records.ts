/**
 * What the fleet knows of a node's key: one internal object a node beside its
 * Node, written when it joins and when it is revoked.
 *
 * Invariants:
 * 1. A key that was revoked, or that held a name before another did, is refused
 *    for as long as a certificate over it can live.
 * 2. A record belongs to one Node, by uid: a Node made anew under the same name
 *    inherits nothing from it.
 */
import { isJsonObject, textOf, type Uid, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { Change, ObjectKey, StoredObject, StoreView } from '#platform/store/mod.ts';

export const nodeIdentityResource = 'nodeidentities.selvage.dev';
/** No certificate of a node may be asked to live longer. */
export const nodeCertificateLifeMsMax = 30 * 86_400_000;
/** When every certificate that was issued before has certainly ended. */
const forgetAfterMs = nodeCertificateLifeMsMax + 86_400_000;
const earlierKeysMax = 64;
/** How many records of nodes that are gone one join looks after. */
const tidiedMax = 100;

export type NodeRecord = {
  /** Of the Node that joined with this key. */
  nodeUid: string;
  publicKeyHash: string;
  joinedTime: string;
  /** Once and for ever: this key is not believed any more. */
  revoked?: { time: string; reason: string };
  /** Keys that held this name before. */
  earlierKeys: { publicKeyHash: string; endedAtMs: number }[];
  /** Since when the Node is known not to be there any more. */
  goneSinceMs?: number;
};

export const nodeKey = (name: string): ObjectKey => ({ resource: 'nodes', namespace: '', name });

export const nodeRecordKey = (nodeName: string): ObjectKey => ({
  resource: nodeIdentityResource,
  namespace: '',
  name: nodeName,
});

export function nodeRecordOf(object: StoredObject): NodeRecord {
  const facet = object.facets.intent;
  const parsed: unknown = facet === undefined ? undefined : JSON.parse(textOf(facet.bytes));
  if (!isJsonObject(parsed) || !isJsonObject(parsed['spec'])) {
    throw new StatusError('InternalError', `the record of node ${object.key.name} is not readable`);
  }
  // Written by this file alone.
  return parsed['spec'] as unknown as NodeRecord;
}

export function putNodeRecord(nodeName: string, uid: Uid, record: NodeRecord): Change {
  const value = {
    apiVersion: 'selvage.dev/v1',
    kind: 'NodeIdentity',
    metadata: { name: nodeName, creationTimestamp: record.joinedTime },
    spec: record,
  };
  const bytes = utf8(JSON.stringify(value));
  return { type: 'put', key: nodeRecordKey(nodeName), uid, facet: 'intent', bytes };
}

/** Hashes of all keys of this record that are refused. */
export function refusedKeysOf(record: NodeRecord): readonly string[] {
  const earlier = record.earlierKeys.map((key) => key.publicKeyHash);
  return record.revoked === undefined ? earlier : [...earlier, record.publicKeyHash];
}

export function revokedText(nodeName: string): string {
  return (
    `the key of node ${nodeName} was revoked. To let the machine back in: delete the Node ` +
    `(kubectl delete node ${nodeName}), remove the folder "identity" from the state of its agent, ` +
    'and join again with a new token (selvage join-token)'
  );
}

/**
 * The changes that note a new node's key, and that let go of what nobody needs any
 * more. Throws StatusError where the key is one that was refused.
 */
export function joinedRecordChanges(
  view: StoreView,
  joined: {
    readonly nodeName: string;
    readonly nodeUid: Uid;
    readonly publicKeyHash: string;
    readonly time: string;
    readonly nowMs: number;
    /** Of the record, where the name has none yet. */
    readonly newUid: Uid;
  },
): readonly Change[] {
  const { nodeName, nodeUid, publicKeyHash, time, nowMs } = joined;
  const existing = view.get(nodeRecordKey(nodeName));
  const before = existing === undefined ? undefined : nodeRecordOf(existing);
  if (before !== undefined && refusedKeysOf(before).includes(publicKeyHash)) {
    throw new StatusError('Unauthorized', revokedText(nodeName));
  }
  const earlierKeys = (before?.earlierKeys ?? []).filter(
    (key) => nowMs - key.endedAtMs < forgetAfterMs,
  );
  if (before !== undefined && before.publicKeyHash !== publicKeyHash) {
    earlierKeys.push({ publicKeyHash: before.publicKeyHash, endedAtMs: nowMs });
  }
  if (earlierKeys.length > earlierKeysMax) {
    throw new StatusError(
      'TooManyRequests',
      `${earlierKeysMax} machines have joined as ${nodeName} within a month: choose another name`,
      { retryAfterSeconds: 86_400 },
    );
  }
  const record: NodeRecord = { nodeUid, publicKeyHash, joinedTime: time, earlierKeys };
  return [
    putNodeRecord(nodeName, existing?.uid ?? joined.newUid, record),
    ...tidyChanges(view, nodeName, nowMs),
  ];
}

/** Marks records whose Node is gone, and removes them when nothing of them lives any more. */
function tidyChanges(view: StoreView, exceptName: string, nowMs: number): readonly Change[] {
  const changes: Change[] = [];
  for (const object of view.list(nodeIdentityResource)) {
    const { name } = object.key;
    if (changes.length >= tidiedMax) break;
    if (name === exceptName || view.get(nodeKey(name)) !== undefined) continue;
    const record = nodeRecordOf(object);
    if (record.goneSinceMs === undefined) {
      changes.push(putNodeRecord(name, object.uid, { ...record, goneSinceMs: nowMs }));
    } else if (nowMs - record.goneSinceMs >= forgetAfterMs) {
      changes.push({ type: 'delete', key: object.key, uid: object.uid });
    }
  }
  return changes;
}
