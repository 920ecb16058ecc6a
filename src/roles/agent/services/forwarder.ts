/**
 * Takes connections at the addresses of services and on node ports, and passes each
 * on to a pod that answers for the service: the nearest that is ready.
 *
 * Invariants:
 * 1. A connection stays with its pod until one of them ends it, whatever becomes of
 *    the endpoints meanwhile: a pod that leaves finishes what it has begun, and gets
 *    nothing new.
 * 2. Who does not take the connection is passed over for the next, and none is tried
 *    twice.
 * 3. Never more than `connectionsMax` connections in all, nor `connectionsPerPortMax`
 *    on one port: beyond that they are turned away.
 */
import { errorText } from '#base/mod.ts';
import {
  type Clock,
  type Listener,
  type Logger,
  NetError,
  type PlainConnection,
  type PlainNet,
  type Timers,
} from '#platform/io/mod.ts';
import { createFrontends, type Frontend, type Open } from './frontends.ts';
import { inOrderOfNearness, type Place } from './nearness.ts';
import type { Backend, KnownService, ServiceTable } from './service-table.ts';
import { splice } from '#platform/wire/mod.ts';

/** Two descriptors each, below the 20,000 that a process may have. */
const connectionsMax = 8_000;
const connectionsPerPortMax = 2_000;
const listenersMax = 4_000;
const connectWithinMs = 3_000;
const attemptsMax = 8;
const rememberedClientsMax = 10_000;

export interface ForwarderDependencies {
  readonly plainNet: PlainNet;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly services: ServiceTable;
  readonly here: () => Place;
  /** The way to a pod, on this machine or another. */
  readonly reach: (backend: Backend) => Promise<PlainConnection>;
}

export interface ForwarderState {
  readonly listeners: number;
  /** For datagrams: clients that were heard of lately. */
  readonly connections: number;
  /** Connections, and datagrams, for which nobody was found. */
  readonly refused: number;
}

export interface Forwarder {
  /** Makes the listeners those of `frontends`. */
  update(frontends: readonly Frontend[]): void;
  state(): ForwarderState;
  close(): Promise<void>;
}

export function createForwarder(dependencies: ForwarderDependencies): Forwarder {
  const { plainNet, clock, timers, logger, services } = dependencies;
  const remembered = new Map<string, { readonly address: string; untilMs: number }>();
  let connections = 0;
  let refused = 0;
  let turn = 0;

  const frontends = createFrontends<Listener>({
    ...{ timers, logger, what: 'services', listenersMax },
    listen: (open) =>
      plainNet.listen(
        {
          address: open.frontend.address,
          isShared: open.frontend.isShared,
          connectionsMax: connectionsPerPortMax,
        },
        (connection) => take(open, connection),
      ),
  });

  function take(open: Open<Listener>, near: PlainConnection): void {
    if (connections >= connectionsMax) {
      refused += 1;
      near.destroy();
      return;
    }
    connections += 1;
    let isGone = false;
    near.onClose(() => {
      isGone = true;
      connections -= 1;
    });
    // Nothing is lost meanwhile: it waits in the kernel.
    near.pause();
    connectFor(open.frontend, near.remoteAddress.host).then(
      (far) => {
        if (far === undefined) {
          refused += 1;
          near.destroy();
        } else if (isGone) {
          far.destroy();
        } else {
          splice(near, far);
        }
      },
      (error: unknown) => {
        logger.log('error', 'a connection could not be passed on', { error: errorText(error) });
        near.destroy();
      },
    );
  }

  /** Undefined where nobody takes it. */
  async function connectFor(
    { namespace, service: name, portName }: Frontend,
    client: string,
  ): Promise<PlainConnection | undefined> {
    const service = services.get(namespace, name);
    if (service === undefined) return undefined;
    const candidates = candidatesFor(service, portName, client);
    for (const backend of candidates.slice(0, attemptsMax)) {
      try {
        const connection = await dependencies.reach(backend);
        remember(service, portName, client, backend);
        return connection;
      } catch (error) {
        if (!(error instanceof NetError)) throw error;
      }
    }
    return undefined;
  }

  function candidatesFor(
    service: KnownService,
    portName: string,
    client: string,
  ): readonly Backend[] {
    turn += 1;
    const backends = service.backends.get(portName) ?? [];
    const inOrder = inOrderOfNearness(dependencies.here(), backends, turn);
    if (service.spec.sessionAffinity !== 'ClientIP') return inOrder;
    const known = remembered.get(memoryKey(service, portName, client));
    if (known === undefined || known.untilMs <= clock.monotonicMs()) return inOrder;
    const first = inOrder.filter(({ address }) => address === known.address);
    return [...first, ...inOrder.filter(({ address }) => address !== known.address)];
  }

  function remember(
    service: KnownService,
    portName: string,
    client: string,
    { address }: Backend,
  ): void {
    const { sessionAffinity, sessionAffinityConfig } = service.spec;
    if (sessionAffinity !== 'ClientIP') return;
    const key = memoryKey(service, portName, client);
    const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800;
    // The newest are last, so that the oldest go first.
    remembered.delete(key);
    remembered.set(key, { address, untilMs: clock.monotonicMs() + seconds * 1000 });
    for (const oldest of remembered.keys()) {
      if (remembered.size <= rememberedClientsMax) break;
      remembered.delete(oldest);
    }
  }

  return {
    update: (wanted) => frontends.update(wanted),
    state: () => ({ listeners: frontends.size, connections, refused }),
    close: () => frontends.close(),
  };
}

/** The way to a pod that is on this machine. */
export function reachDirectly(
  plainNet: PlainNet,
  { address, port }: Backend,
): Promise<PlainConnection> {
  return plainNet.connect({ address: { host: address, port }, timeoutMs: connectWithinMs });
}

function memoryKey({ namespace, name }: KnownService, portName: string, client: string): string {
  return `${namespace}/${name}/${portName}/${client}`;
}
