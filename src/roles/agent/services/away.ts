/**
 * Connections to pods of other machines: through the link to the hub, which passes
 * them on to the agent that has the pod. Pods' addresses are loopback addresses and
 * mean nothing elsewhere; the links are there, are authenticated both ways, and need
 * no way in to a node.
 *
 * The two ends, each a stream:
 *   service.dial     agent to hub   { namespace, name, uid, port } of a pod
 *   service.connect  hub to agent   { podUid, port }
 * The first message of the agent that has the pod is one byte: the pod has taken the
 * connection.
 */
import { errorText } from '#base/mod.ts';
import { NetError, type PlainConnection, type PlainNet, type Timers } from '#platform/io/mod.ts';
import type { LinkSession, LinkStream } from '#platform/wire/mod.ts';
import { LinkConnection, splice, streamsKeptFree } from '#platform/wire/mod.ts';
import type { Backend } from './service-table.ts';

const taken = Uint8Array.of(1);
const dialWithinMs = 5_000;
const connectWithinMs = 3_000;
/** Connections that come to pods of this node from others. */
export const carriedMax = 2_000;

export interface AwayDependencies {
  readonly timers: Timers;
  /** Undefined while there is no link. */
  readonly session: () => LinkSession | undefined;
}

/**
 * Rejects with NetError where there is no link, or it carries as many already as leave
 * room for the agent's own calls, or nobody takes the connection.
 */
export function reachAway(
  { timers, session }: AwayDependencies,
  { address, port, pod }: Backend,
): Promise<PlainConnection> {
  const where = `cannot connect to ${address}:${port} on another machine`;
  const link = session();
  if (link === undefined || pod === undefined) {
    const why = link === undefined ? 'the hub is not connected' : 'it is no pod of the fleet';
    return Promise.reject(new NetError('NET_REFUSED', `${where}: ${why}`, { retryable: true }));
  }
  if (link.streamsLeft() <= streamsKeptFree) {
    const why = `${where}: the link to the hub carries as many connections as it can`;
    return Promise.reject(new NetError('NET_REFUSED', why, { retryable: true }));
  }
  return new Promise((resolve, reject) => {
    const stream = link.open('bulk', 'service.dial', { ...pod, port });
    const connection = new LinkConnection(stream, { host: address, port });
    let isOpen = false;
    const timer = timers.after(dialWithinMs, () => {
      if (isOpen) return;
      connection.destroy();
      const why = `${where}: no answer in ${dialWithinMs} ms`;
      reject(new NetError('NET_TIMEOUT', why, { retryable: true }));
    });
    connection.onClose((error) => {
      timer.cancel();
      if (isOpen) return;
      const why = `${where}: ${error === undefined ? 'it was closed' : errorText(error)}`;
      reject(new NetError('NET_REFUSED', why, { retryable: true }));
    });
    connection.onFirst(() => {
      isOpen = true;
      timer.cancel();
      resolve(connection);
    });
  });
}

export interface CarrierDependencies {
  readonly plainNet: PlainNet | undefined;
  /** Of a pod that this node has taken up. */
  readonly addressOf: (podUid: string) => string | undefined;
}

/** A handler of `service.connect`. */
export function createServiceCarrier({
  plainNet,
  addressOf,
}: CarrierDependencies): (
  parameters: Readonly<Record<string, unknown>>,
  stream: LinkStream,
) => void {
  let carried = 0;
  return ({ podUid, port }, stream) => {
    const host = typeof podUid === 'string' ? addressOf(podUid) : undefined;
    const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536;
    const near = new LinkConnection(stream, { host: 'another node', port: 0 });
    if (host === undefined || !isPort || plainNet === undefined || carried >= carriedMax) {
      const message = carried >= carriedMax ? 'too many connections' : 'no such pod here';
      stream.fail({ code: 'SERVICE_REFUSED', message });
      return;
    }
    carried += 1;
    let isGone = false;
    near.onClose(() => {
      isGone = true;
      carried -= 1;
    });
    plainNet.connect({ address: { host, port }, timeoutMs: connectWithinMs }).then(
      (far) => {
        if (isGone) {
          far.destroy();
          return;
        }
        near.write(taken);
        splice(near, far);
      },
      (error: unknown) => {
        if (!isGone) stream.fail({ code: 'SERVICE_REFUSED', message: errorText(error) });
      },
    );
  };
}
