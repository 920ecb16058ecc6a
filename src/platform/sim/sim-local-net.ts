/**
 * Plain streams and datagrams of one simulated machine: what its processes say to
 * each other over its own addresses. Nothing of it leaves the machine.
 *
 * Invariants:
 * 1. What is sent arrives after a short time, in order, or the connection closes.
 * 2. A process that dies takes its listeners and sockets along; whoever was connected
 *    to it gets a reset.
 */
import {
  type Address,
  type Datagrams,
  type DatagramSocket,
  type Listener,
  NetError,
  type PlainConnection,
  type PlainNet,
} from '#platform/io/mod.ts';
import type { Kernel, Lifetime } from './kernel.ts';
import { LocalEnd } from './sim-local-connection.ts';

const firstFreePort = 32_768;
const portMax = 65_535;
const latencyMs = 0.05;

type Accept = (connection: PlainConnection) => void;

interface Listening {
  readonly process: Lifetime;
  readonly isShared: boolean;
  readonly connectionsMax: number;
  readonly accept: Accept;
  readonly connections: Set<LocalEnd>;
}

interface Bound {
  readonly process: Lifetime;
  readonly listeners: ((bytes: Uint8Array, from: Address) => void)[];
}

export class LocalNet {
  readonly #kernel: Kernel;
  /** The machine's own address, beside those of every machine. */
  readonly #address: string;
  readonly #listeners = new Map<string, Listening[]>();
  readonly #sockets = new Map<string, Bound>();
  readonly #ends = new Set<LocalEnd>();
  #nextPort = firstFreePort;
  #turn = 0;

  constructor(kernel: Kernel, address: string) {
    this.#kernel = kernel;
    this.#address = address;
  }

  processDied(process: Lifetime): void {
    for (const [key, all] of this.#listeners) {
      const left = all.filter((listening) => listening.process !== process);
      if (left.length === 0) this.#listeners.delete(key);
      else this.#listeners.set(key, left);
    }
    for (const [key, bound] of this.#sockets) {
      if (bound.process === process) this.#sockets.delete(key);
    }
    for (const end of this.#ends) {
      if (end.process !== process) continue;
      this.#ends.delete(end);
      end.resetPeer();
    }
  }

  plainNetFor(process: Lifetime): PlainNet {
    return {
      listen: async ({ address, connectionsMax, isShared = false }, accept) => {
        const bound = this.#claim(address);
        const key = keyOf(bound);
        const others = this.#listeners.get(key) ?? [];
        if (others.length > 0 && !(isShared && others.every((other) => other.isShared))) {
          throw inUse(bound);
        }
        const connections = new Set<LocalEnd>();
        const listening = { process, isShared, connectionsMax, accept, connections };
        this.#listeners.set(key, [...others, listening]);
        return this.#listener(bound, key, listening);
      },
      connect: ({ address }) =>
        new Promise((resolve, reject) => {
          const where = `${address.host}:${address.port}`;
          this.#kernel.schedule(2 * latencyMs, process, 'local.connect', where, () => {
            const listening = this.#listeningAt(address);
            if (listening === undefined) {
              const why = `cannot connect to ${where}: nobody listens there`;
              reject(new NetError('NET_REFUSED', why, { retryable: true }));
            } else {
              resolve(this.#connect(process, address, listening));
            }
          });
        }),
    };
  }

  datagramsFor(process: Lifetime): Datagrams {
    return {
      bind: async ({ address }) => {
        const bound = this.#claim(address);
        const key = keyOf(bound);
        if (this.#sockets.has(key)) throw inUse(bound);
        const own: Bound = { process, listeners: [] };
        this.#sockets.set(key, own);
        const socket: DatagramSocket = {
          address: bound,
          send: (bytes, to) => {
            if (this.#sockets.get(key) === own) this.#send(bytes.slice(), bound, to);
          },
          onMessage: (listener) => own.listeners.push(listener),
          close: async () => {
            if (this.#sockets.get(key) === own) this.#sockets.delete(key);
          },
        };
        return socket;
      },
    };
  }

  #send(bytes: Uint8Array, from: Address, to: Address): void {
    const target = this.#sockets.get(keyOf(to));
    if (target === undefined) return;
    this.#kernel.schedule(latencyMs, target.process, 'local.datagram', keyOf(to), () => {
      for (const listener of target.listeners) listener(bytes, from);
    });
  }

  #listener(address: Address, key: string, listening: Listening): Listener {
    return {
      address,
      close: async () => {
        const left = (this.#listeners.get(key) ?? []).filter((other) => other !== listening);
        if (left.length === 0) this.#listeners.delete(key);
        else this.#listeners.set(key, left);
        for (const connection of listening.connections) connection.destroy();
      },
    };
  }

  #listeningAt({ host, port }: Address): Listening | undefined {
    for (const candidate of [host, '0.0.0.0']) {
      const all = this.#listeners.get(keyOf({ host: candidate, port })) ?? [];
      if (all.length === 0) continue;
      this.#turn += 1;
      return all[this.#turn % all.length];
    }
    return undefined;
  }

  #connect(process: Lifetime, to: Address, listening: Listening): PlainConnection {
    const from = { host: '127.0.0.1', port: this.#freePort() };
    const near = new LocalEnd(this.#kernel, process, to, latencyMs);
    const far = new LocalEnd(this.#kernel, listening.process, from, latencyMs);
    near.peer = far;
    far.peer = near;
    for (const end of [near, far]) {
      this.#ends.add(end);
      end.onGone(() => this.#ends.delete(end));
    }
    if (listening.connections.size >= listening.connectionsMax) {
      far.destroy();
      return near;
    }
    listening.connections.add(far);
    far.onGone(() => listening.connections.delete(far));
    this.#kernel.schedule(0, listening.process, 'local.accept', keyOf(to), () =>
      listening.accept(far),
    );
    return near;
  }

  /** The address with its port; throws where it is none of this machine's. */
  #claim({ host, port }: Address): Address {
    const isOwn = host.startsWith('127.') || ['localhost', '0.0.0.0', this.#address].includes(host);
    if (!isOwn) throw new NetError('NET_IO', `${host} is no address of this machine`);
    return { host, port: port === 0 ? this.#freePort() : port };
  }

  #freePort(): number {
    const port = this.#nextPort;
    this.#nextPort = port === portMax ? firstFreePort : port + 1;
    return port;
  }
}

function keyOf({ host, port }: Address): string {
  return `${host === 'localhost' ? '127.0.0.1' : host}:${port}`;
}

function inUse(address: Address): NetError {
  return new NetError('NET_ADDRESS_IN_USE', `${keyOf(address)} is in use`, { retryable: true });
}
