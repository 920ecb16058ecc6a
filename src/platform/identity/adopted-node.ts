/**
 * A node that this server does not know, though it carries a certificate of its
 * authority: it joined after the backup that the server was restored from. Its key is
 * proved by the certificate request that it keeps, over the same key as its certificate.
 */
import type { Uid } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { Keys } from '#platform/io/mod.ts';
import type { Change, StoreView } from '#platform/store/mod.ts';
import { keyIdOf, keyIdOfSerial } from './key-id.ts';
import { requestKeyHash } from './node-certificates.ts';
import { joinedRecordChanges } from './node-records.ts';

/** The hash of the key, once proved. Throws StatusError 422 for what proves nothing. */
export async function provedKeyHash(
  keys: Keys,
  options: { readonly certificateRequestPem: string; readonly serialNumber: string },
): Promise<string> {
  const publicKeyHash = await requestKeyHash(keys, options.certificateRequestPem);
  if (keyIdOf(publicKeyHash) !== keyIdOfSerial(options.serialNumber)) {
    throw new StatusError('Invalid', 'the certificate request is not over the key of the link');
  }
  return publicKeyHash;
}

/** Notes the key of a node that is taken in, like a join. Throws StatusError for a refused key. */
export function adoptedRecordChanges(
  view: StoreView,
  node: {
    readonly nodeName: string;
    readonly nodeUid: Uid;
    readonly publicKeyHash: string;
    readonly time: string;
    readonly nowMs: number;
    readonly newUid: Uid;
  },
): readonly Change[] {
  return joinedRecordChanges(view, node);
}
