/** What nodes hold, fetched from them where an operator has to decide whose history counts. */
import { errorText } from '#base/mod.ts';
import type { Timers } from '#platform/io/mod.ts';
import { type CopyOffer, takeOffer } from '#platform/sync/mod.ts';
import type { LinkSession } from '#platform/wire/mod.ts';

/** A node that does not answer is passed over after this. */
const offerTimeoutMs = 30_000;

export interface NodeCopy extends CopyOffer {
  readonly nodeName: string;
  /** Of the certificate that the node has shown. */
  readonly serialNumber: string;
}

/** Rejects with an error whose text says why there is none. */
export async function fetchCopy(
  session: LinkSession | undefined,
  nodeName: string,
  timers: Timers,
): Promise<NodeCopy> {
  const { peer } = session ?? {};
  if (session === undefined || peer === undefined) throw new Error('it is not connected');
  const stream = session.open('bulk', 'slice.offer', {});
  const timer = timers.after(offerTimeoutMs, () => {
    stream.fail({ code: 'SYNC_TIMEOUT', message: 'the node did not offer its copy in time' });
  });
  try {
    const offer = await takeOffer(stream);
    return { ...offer, nodeName, serialNumber: peer.serialNumber };
  } catch (thrown) {
    throw new Error(errorText(thrown), { cause: thrown });
  } finally {
    timer.cancel();
  }
}
