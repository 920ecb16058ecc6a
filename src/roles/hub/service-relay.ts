/**
 * Connections from a node to a pod of another node, for Services: the hub joins the
 * stream of the one that asks with a stream to the one that has the pod.
 *
 * Invariants:
 * 1. Only a pod and port that an EndpointSlice names are reached: nodes get no way to
 *    each other beyond what Services say.
 * 2. A piece that the one does not take is not taken from the other.
 * 3. At most `relaysMax` connections in all and `relaysPerNodeMax` for one node are
 *    passed on at a time, and none that would leave a link without streams for what
 *    the hub itself asks of the node (commands, logs, usage).
 */
import { isJsonObject, type Json } from '#base/mod.ts';
import type { Store, StoredObject } from '#platform/store/mod.ts';
import { type LinkSession, type LinkStream, streamsKeptFree } from '#platform/wire/mod.ts';
import { nodeNameOf, readFacet } from './stored-facets.ts';

const relaysMax = 4_000;
const relaysPerNodeMax = 500;
const slicesResource = 'endpointslices.discovery.k8s.io';

export class ServiceRelay {
  readonly #store: Store;
  readonly #sessionOf: (nodeName: string) => LinkSession | undefined;
  #relays = 0;
  readonly #relaysOf = new Map<string, number>();

  constructor(store: Store, sessionOf: (nodeName: string) => LinkSession | undefined) {
    this.#store = store;
    this.#sessionOf = sessionOf;
  }

  /** Answers one `service.dial` of the node `from`. */
  serve(from: string, parameters: Readonly<Record<string, unknown>>, stream: LinkStream): void {
    const { namespace, name, uid, port } = parameters;
    const pod =
      typeof namespace === 'string' && typeof name === 'string'
        ? this.#store.get({ resource: 'pods', namespace, name })
        : undefined;
    if (pod === undefined || pod.uid !== uid || !this.#isEndpoint(pod, port)) {
      refuse(stream, 'SERVICE_REFUSED', 'no Service has that pod and port as an endpoint');
      return;
    }
    const session = this.#sessionOf(nodeNameOf(pod) ?? '');
    if (session === undefined) {
      refuse(stream, 'NODE_UNREACHABLE', 'the node of the pod is not connected');
      return;
    }
    const ofNode = this.#relaysOf.get(from) ?? 0;
    if (this.#relays >= relaysMax || ofNode >= relaysPerNodeMax) {
      refuse(stream, 'SERVICE_BUSY', 'too many connections are passed on already');
      return;
    }
    if (session.streamsLeft() <= streamsKeptFree) {
      const message = 'the link to the node of the pod carries as many connections as it can';
      refuse(stream, 'SERVICE_BUSY', message);
      return;
    }
    this.#count(from, 1);
    join(stream, session.open('bulk', 'service.connect', { podUid: pod.uid, port }), () => {
      this.#count(from, -1);
    });
  }

  #count(node: string, step: 1 | -1): void {
    this.#relays += step;
    const left = (this.#relaysOf.get(node) ?? 0) + step;
    if (left > 0) this.#relaysOf.set(node, left);
    else this.#relaysOf.delete(node);
  }

  #isEndpoint(pod: StoredObject, port: unknown): boolean {
    const { namespace } = pod.key;
    return this.#store.list(slicesResource, namespace).some((slice) => {
      const { endpoints, ports } = readFacet(slice, 'intent') ?? {};
      return (
        objectsIn(ports).some((one) => one['port'] === port) &&
        objectsIn(endpoints).some(
          ({ targetRef }) => isJsonObject(targetRef) && targetRef['uid'] === pod.uid,
        )
      );
    });
  }
}

function objectsIn(value: Json | undefined): readonly { readonly [field: string]: Json }[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function refuse(stream: LinkStream, code: string, message: string): void {
  stream.onMessage(() => undefined);
  stream.onClose(() => undefined);
  stream.fail({ code, message });
}

function join(near: LinkStream, far: LinkStream, onOver: () => void): void {
  let endings = 0;
  let isOver = false;
  const over = (): void => {
    if (isOver) return;
    isOver = true;
    onOver();
  };
  const pass = (from: LinkStream, to: LinkStream): void => {
    from.onMessage(async (bytes) => {
      // A stream that has failed says so to its close listener.
      await to.send(bytes).catch(() => undefined);
      if (bytes.length > 0) return;
      endings += 1;
      if (endings < 2) return;
      // Both directions are through: neither side has anything to say any more.
      near.end();
      far.end();
    });
    from.onClose((failure) => {
      if (failure !== undefined && !isOver) to.fail(failure);
      over();
    });
  };
  pass(near, far);
  pass(far, near);
}
