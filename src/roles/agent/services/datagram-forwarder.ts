/**
 * Takes datagrams at the addresses of services and on node ports, and passes each on to
 * a pod of this machine that answers for the service. What comes back goes to whoever
 * sent the question, from the address that was asked.
 *
 * Invariants:
 * 1. A client, by its address and port, stays with one pod as long as datagrams go
 *    either way at least every `sessionIdleMs` and the pod serves.
 * 2. Never more than `sessionsMax` clients at a time: beyond that the one that was
 *    silent longest is forgotten. Of one that is not set up yet at most `heldMax`
 *    datagrams are kept.
 * 3. Only the pod that was asked can answer.
 */
import { errorText } from '#base/mod.ts';
import {
  type Address,
  type Clock,
  type Datagrams,
  type DatagramSocket,
  type Logger,
  type Timer,
  type Timers,
} from '#platform/io/mod.ts';
import type { Forwarder } from './forwarder.ts';
import { addressTextOf, createFrontends, type Open, serviceNameOf } from './frontends.ts';
import { inOrderOfNearness, type Place } from './nearness.ts';
import type { Backend, ServiceTable } from './service-table.ts';

const listenersMax = 1_000;
/** One descriptor each. */
const sessionsMax = 2_000;
const heldMax = 16;
const sessionIdleMs = 60_000;
const sweepEveryMs = 10_000;

export interface DatagramForwarderDependencies {
  readonly datagrams: Datagrams;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly services: ServiceTable;
  readonly here: () => Place;
  /** Whether a pod's address is one of this machine. */
  readonly isHere: (backend: Backend) => boolean;
}

interface Session {
  readonly open: Open<DatagramSocket>;
  readonly client: Address;
  readonly backend: Backend;
  /** Towards the pod; undefined while it is being opened. */
  socket: DatagramSocket | undefined;
  readonly held: Uint8Array[];
  lastMs: number;
  isOver: boolean;
}

export function createDatagramForwarder(dependencies: DatagramForwarderDependencies): Forwarder {
  const { datagrams, clock, timers, logger, services } = dependencies;
  /** The one that was silent longest is first. */
  const sessions = new Map<string, Session>();
  /** Services whose pods are all elsewhere, of which that was said. */
  const toldAway = new Set<string>();
  let refused = 0;
  let turn = 0;
  let sweeper: Timer | undefined;

  const frontends = createFrontends<DatagramSocket>({
    ...{ timers, logger, what: 'UDP services', listenersMax },
    async listen(open) {
      const { address, isShared } = open.frontend;
      const socket = await datagrams.bind({ address, isShared });
      socket.onMessage((bytes, from) => take(open, bytes, from));
      return socket;
    },
    onEnd(open) {
      for (const [name, session] of sessions) if (session.open === open) end(name, session);
    },
  });

  function take(open: Open<DatagramSocket>, bytes: Uint8Array, from: Address): void {
    const key = `${addressTextOf(open.frontend)}<${from.host}:${from.port}`;
    let session = sessions.get(key);
    if (session !== undefined && !isServing(session)) {
      end(key, session);
      session = undefined;
    }
    session ??= begin(key, open, from);
    if (session === undefined) {
      refused += 1;
      return;
    }
    touch(key, session);
    if (session.socket !== undefined) session.socket.send(bytes, target(session));
    else if (session.held.length < heldMax) session.held.push(bytes.slice());
    else refused += 1;
  }

  /** Undefined where nobody of this machine answers for the service. */
  function begin(key: string, open: Open<DatagramSocket>, client: Address): Session | undefined {
    const backend = backendFor(open, client);
    if (backend === undefined) return undefined;
    const session: Session = {
      ...{ open, client, backend },
      socket: undefined,
      held: [],
      lastMs: clock.monotonicMs(),
      isOver: false,
    };
    sessions.set(key, session);
    for (const [oldest, other] of sessions) {
      if (sessions.size <= sessionsMax) break;
      end(oldest, other);
    }
    sweeper ??= timers.after(sweepEveryMs, sweep);
    const host = backend.address.startsWith('127.') ? '127.0.0.1' : '0.0.0.0';
    datagrams.bind({ address: { host, port: 0 } }).then(
      (socket) => {
        if (session.isOver) return void socket.close();
        session.socket = socket;
        socket.onMessage((bytes, from) => {
          if (from.host !== backend.address || from.port !== backend.port) return;
          touch(key, session);
          open.listening?.send(bytes, client);
        });
        for (const bytes of session.held.splice(0)) socket.send(bytes, target(session));
      },
      (error: unknown) => {
        logger.log('warn', 'a datagram could not be passed on', { error: errorText(error) });
        end(key, session);
      },
    );
    return session;
  }

  function backendFor(open: Open<DatagramSocket>, client: Address): Backend | undefined {
    const { namespace, service: name, portName } = open.frontend;
    const service = services.get(namespace, name);
    const backends = service?.backends.get(portName) ?? [];
    const inOrder = inOrderOfNearness(dependencies.here(), backends, (turn += 1));
    const near = inOrder.filter(dependencies.isHere);
    if (near.length === 0 && inOrder.length > 0 && !toldAway.has(serviceNameOf(open.frontend))) {
      if (toldAway.size >= listenersMax) toldAway.clear();
      toldAway.add(serviceNameOf(open.frontend));
      logger.log('warn', 'datagrams of a service are dropped: its pods are on other machines', {
        service: serviceNameOf(open.frontend),
      });
    }
    if (service?.spec.sessionAffinity !== 'ClientIP') return near[0];
    const known = [...sessions.values()].find(
      (session) => session.open === open && session.client.host === client.host,
    );
    return near.find(({ address }) => address === known?.backend.address) ?? near[0];
  }

  function isServing({ open, backend }: Session): boolean {
    const { namespace, service, portName } = open.frontend;
    const backends = services.get(namespace, service)?.backends.get(portName) ?? [];
    return backends.some(
      ({ address, port, isServing: serves }) =>
        address === backend.address && port === backend.port && serves,
    );
  }

  function touch(key: string, session: Session): void {
    session.lastMs = clock.monotonicMs();
    sessions.delete(key);
    if (!session.isOver) sessions.set(key, session);
  }

  function end(key: string, session: Session): void {
    session.isOver = true;
    sessions.delete(key);
    void session.socket?.close();
  }

  function sweep(): void {
    sweeper = undefined;
    for (const [key, session] of sessions) {
      if (clock.monotonicMs() - session.lastMs < sessionIdleMs) break;
      end(key, session);
    }
    if (sessions.size > 0) sweeper = timers.after(sweepEveryMs, sweep);
  }

  return {
    update: (wanted) => frontends.update(wanted),
    state: () => ({ listeners: frontends.size, connections: sessions.size, refused }),
    async close() {
      sweeper?.cancel();
      await frontends.close();
    },
  };
}

function target({ backend }: Session): Address {
  return { host: backend.address, port: backend.port };
}
