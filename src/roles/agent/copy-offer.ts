/**
 * `slice.offer`: gives the hub this node's copy of its slice, for a server that was
 * restored from a backup and lacks what came after it. The hub asks only when an
 * operator has told it to.
 */
import { errorText } from '#base/mod.ts';
import { offerCopy, type Replica } from '#platform/sync/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';

/** Everything that a slice of a node can hold and a server can take back. */
const offeredResources = ['nodes', 'configmaps', 'secrets', 'persistentvolumeclaims', 'pods'];

export function createCopyOffer(
  replica: Replica,
  /** Proves this node's key to a server that does not know the node. */
  certificateRequest: (() => Promise<string | undefined>) | undefined,
): (parameters: Readonly<Record<string, unknown>>, stream: LinkStream) => void {
  return (_parameters, stream) => {
    stream.onMessage(() => undefined);
    stream.onClose(() => undefined);
    const read = certificateRequest?.() ?? Promise.resolve(undefined);
    read.then(
      (pem) => {
        const statement = pem === undefined ? {} : { certificateRequestPem: pem };
        offerCopy(replica, offeredResources, statement, stream);
      },
      (error: unknown) => stream.fail({ code: 'OFFER_FAILED', message: errorText(error) }),
    );
  };
}
