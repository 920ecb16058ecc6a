/**
 * The network of the world: listeners, handshakes, and connections whose bytes
 * arrive in order after a latency, or wait out a partition, or are lost with a
 * machine.
 *
 * Invariants:
 * 1. Bytes of one connection arrive in order and once, or the connection closes.
 * 2. While a link is cut nothing passes it; what was on its way arrives after the
 *    link is healed, unless its sender gave up first.
 * 3. A process that dies resets its connections; a machine that dies does not:
 *    the other side learns of it when it sends and nobody answers.
 */
import {
  NetError,
  type Address,
  type CertificateFacts,
  type ClientTls,
  type Listener,
  type Net,
  type PeerIdentity,
  type ServerTls,
} from '#platform/io/mod.ts';
import type { Kernel, Lifetime } from './kernel.ts';
import type { SeededRandom } from './seeded-random.ts';
import { Endpoint } from './sim-connection.ts';
import { verifyCredentials, type KeyRing } from './sim-keys.ts';
import { Pipe, type Latency, type PipeNetwork, type Way } from './sim-pipe.ts';

const firstFreePort = 32_768;
const portsMax = 65_535;
const loopbackLatencyMs = 0.05;

/** One machine as the network sees it. */
export interface NetMachine {
  readonly name: string;
  readonly address: string;
  /** The lifetime of the present power-on, dead while it is off. */
  machineLifetime(): Lifetime;
  wallMs(): number;
}

export interface ListenOptions {
  readonly address: Address;
  readonly tls: ServerTls;
  readonly connectionsMax: number;
  /** Accepts also clients whose certificate is not believed, and says why (HTTP answers 401). */
  readonly acceptRefused?: boolean;
}

export type Accept = (connection: Endpoint, refusal: string | undefined) => void;

interface Listening {
  readonly machine: NetMachine;
  readonly process: Lifetime;
  readonly options: ListenOptions;
  readonly accept: Accept;
  readonly connections: Set<Endpoint>;
}

export interface NetCounts {
  connects: number;
  messages: number;
  /** What programs wrote and connections carried, once each. */
  bytes: number;
  resets: number;
  stalls: number;
  /** Transmissions that were lost and made again: over a stream loss is delay. */
  lost: number;
  /** Messages that took much longer than others. */
  delayed: number;
  /** Messages that arrived before an earlier one of another connection on the same way. */
  reordered: number;
  /** Connections reset just after something was taken in, before its answer came back. */
  lostAnswers: number;
}

/** What happens to single messages. Each is a probability from 0 to 1. */
export interface Weather {
  lossRate: number;
  delayRate: number;
  lostAnswerRate: number;
}

const retransmitAfterMs = 200;
const retransmissionsMax = 6;
const delayMsMax = 2_000;
const lostAnswerWithinMs = 40;

const wildcards = ['0.0.0.0', '::'];

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function peerOf(facts: CertificateFacts): PeerIdentity {
  const { subject, uris, serialNumber, notAfterMs } = facts;
  return { ...subject, uris, serialNumber, notAfterMs };
}

export class Network implements PipeNetwork {
  readonly counts: NetCounts = {
    connects: 0,
    messages: 0,
    bytes: 0,
    resets: 0,
    stalls: 0,
    lost: 0,
    delayed: 0,
    reordered: 0,
    lostAnswers: 0,
  };
  readonly weather: Weather = { lossRate: 0, delayRate: 0, lostAnswerRate: 0 };
  readonly #ways = new Map<string, Way>();
  readonly #kernel: Kernel;
  readonly #random: SeededRandom;
  readonly #keyRing: KeyRing;
  readonly #machines = new Map<string, NetMachine>();
  readonly #listeners = new Map<string, Listening>();
  readonly #endpoints = new Set<Endpoint>();
  readonly #latencies = new Map<string, Latency>();
  #nextPort = firstFreePort;
  #connectionNumber = 0;

  constructor(kernel: Kernel, random: SeededRandom, keyRing: KeyRing) {
    this.#kernel = kernel;
    this.#random = random;
    this.#keyRing = keyRing;
  }

  addMachine(machine: NetMachine): void {
    this.#machines.set(machine.name, machine);
    this.#machines.set(machine.address, machine);
  }

  /** Nothing passes from `from` to `to` any more, until healed. */
  cut(from: string, to: string): void {
    this.#way(from, to).isCut = true;
  }

  /** Heals the links between two machines, or all of them. */
  heal(a?: string, b?: string): void {
    const ways =
      a === undefined || b === undefined ? this.#ways.values() : [this.#way(a, b), this.#way(b, a)];
    for (const way of ways) {
      if (!way.isCut) continue;
      way.isCut = false;
      const { stalled } = way;
      way.stalled = [];
      for (const send of stalled) send();
    }
  }

  isCut(from: string, to: string): boolean {
    return this.#way(from, to).isCut;
  }

  /** Sets the one-way latency of a pair; without this the seed draws it. */
  setLatency(a: string, b: string, latencyMs: number): void {
    this.#latency(a, b).baseMs = latencyMs;
  }

  /** Resets every open connection between two machines; gives how many there were. */
  resetConnections(a: string, b: string): number {
    let count = 0;
    for (const endpoint of this.#endpoints) {
      const { from, to } = endpoint.outgoing.way;
      if ((from === a && to === b) || (from === b && to === a)) {
        endpoint.abort(new NetError('NET_CLOSED', 'the connection was reset', { retryable: true }));
        count += 1;
      }
    }
    this.counts.resets += count / 2;
    return count / 2;
  }

  /** Loses the way of every open connection between two machines; gives how many there were. */
  silenceConnections(a: string, b: string): number {
    let count = 0;
    for (const { outgoing } of this.#endpoints) {
      const { from, to } = outgoing.way;
      if (!((from === a && to === b) || (from === b && to === a))) continue;
      outgoing.silence();
      count += 1;
    }
    return count / 2;
  }

  /** A process died: its listeners are gone and its peers get a reset. */
  processDied(process: Lifetime, isMachineUp: boolean): void {
    for (const [key, listening] of this.#listeners) {
      if (listening.process === process) this.#listeners.delete(key);
    }
    for (const endpoint of this.#endpoints) {
      if (endpoint.process !== process) continue;
      this.#endpoints.delete(endpoint);
      if (isMachineUp) endpoint.sendReset();
    }
  }

  portFor(machine: NetMachine, process: Lifetime): Net {
    const never = new Promise<never>(() => {});
    return {
      listen: async (options, onConnection) =>
        process.alive ? this.listen(machine, process, options, onConnection) : await never,
      connect: (options) => this.connect(machine, process, options),
    };
  }

  listen(machine: NetMachine, process: Lifetime, options: ListenOptions, accept: Accept): Listener {
    const { host } = options.address;
    const isOwn =
      isLoopback(host) || wildcards.includes(host) || this.#machines.get(host) === machine;
    if (!isOwn) throw new NetError('NET_IO', `${host} is no address of this machine`);
    const port = options.address.port === 0 ? this.#freePort() : options.address.port;
    const key = `${machine.name} ${host} ${port}`;
    if (this.#listeners.has(key)) {
      throw new NetError('NET_ADDRESS_IN_USE', `${host}:${port} is in use`, { retryable: true });
    }
    const listening: Listening = { machine, process, options, accept, connections: new Set() };
    this.#listeners.set(key, listening);
    return {
      address: { host, port },
      close: async () => {
        if (this.#listeners.get(key) === listening) this.#listeners.delete(key);
        for (const connection of listening.connections) connection.destroy();
      },
    };
  }

  connect(
    machine: NetMachine,
    process: Lifetime,
    options: { readonly address: Address; readonly tls: ClientTls; readonly timeoutMs: number },
  ): Promise<Endpoint> {
    const { address, tls, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      if (!process.alive) return;
      this.counts.connects += 1;
      const target = isLoopback(address.host) ? machine : this.#machines.get(address.host);
      const where = `${address.host}:${address.port}`;
      let isDone = false;
      const fail = (
        code: 'NET_REFUSED' | 'NET_TIMEOUT' | 'NET_UNTRUSTED' | 'NET_IO',
        why: string,
      ): void => {
        if (isDone) return;
        isDone = true;
        deadline.cancel();
        const retryable = code !== 'NET_UNTRUSTED';
        reject(new NetError(code, `cannot connect to ${where}: ${why}`, { retryable }));
      };
      const deadline = this.#kernel.schedule(timeoutMs, process, 'net.timeout', where, () =>
        fail('NET_TIMEOUT', `no answer within ${timeoutMs} ms`),
      );
      if (target === undefined) {
        this.#kernel.schedule(1, process, 'net.unknown', where, () =>
          fail('NET_IO', 'unknown host'),
        );
        return;
      }
      const connectionNumber = (this.#connectionNumber += 1);
      const there = this.#pipe(machine, target, connectionNumber);
      const back = this.#pipe(target, machine, connectionNumber);
      const toClient = (kind: string, action: () => void): void =>
        back.send(kind, where, () => {
          this.#kernel.whenThawed(process, kind, () => {
            if (process.alive && !isDone) action();
          });
        });
      // The exchange: hello, the server's certificate, then the client's with its first bytes.
      const greeted = (): void => {
        const listening = this.#listenerFor(target, address);
        if (listening === undefined) {
          toClient('net.refuse', () => fail('NET_REFUSED', 'nobody listens there'));
          return;
        }
        toClient('net.certificate', () => {
          const server = this.#verifyServer(machine, listening, tls, address.host);
          if (typeof server === 'string') {
            fail('NET_UNTRUSTED', server);
            return;
          }
          isDone = true;
          deadline.cancel();
          const near = this.#endpoint(process, there, target.address, server);
          const finished = (): void => this.#finish(listening, near, back, tls, machine);
          there.send('net.finish', where, finished);
          resolve(near);
        });
      };
      there.send('net.hello', where, greeted);
    });
  }

  /** The server's half of the handshake: either a connection for its listener, or a reset. */
  #finish(
    listening: Listening,
    near: Endpoint,
    back: Pipe,
    tls: ClientTls,
    client: NetMachine,
  ): void {
    const { options, machine, process, connections } = listening;
    const far = this.#endpoint(process, back, client.address, undefined);
    near.joinWith(far);
    far.joinWith(near);
    const refuse = (why: string): void => {
      this.#endpoints.delete(far);
      far.sendReset(new NetError('NET_CLOSED', `the server refused: ${why}`, { retryable: true }));
    };
    if (!process.alive) return refuse('it is going down');
    if (connections.size >= options.connectionsMax) return refuse('too many connections');
    let refusal: string | undefined;
    if (tls.credentials !== undefined) {
      const { trustPem, isRevoked } = options.tls;
      const wallMs = machine.wallMs();
      const checked = verifyCredentials(this.#keyRing, tls.credentials, trustPem, 'client', wallMs);
      if ('refusal' in checked) refusal = checked.refusal;
      else if (isRevoked?.(checked.facts.serialNumber) === true) refusal = 'it has been revoked';
      else far.peer = peerOf(checked.facts);
    } else if (options.tls.clientCertificate === 'require') {
      refusal = 'a certificate is required';
    }
    if (refusal !== undefined && options.acceptRefused !== true) return refuse(refusal);
    connections.add(far);
    far.onClosed(() => connections.delete(far));
    this.#kernel.whenThawed(process, 'net.accept', () => listening.accept(far, refusal));
  }

  #verifyServer(
    machine: NetMachine,
    listening: Listening,
    tls: ClientTls,
    host: string,
  ): PeerIdentity | string {
    const { credentials } = listening.options.tls;
    const wallMs = machine.wallMs();
    const checked = verifyCredentials(this.#keyRing, credentials, tls.trustPem, 'server', wallMs);
    if ('refusal' in checked) return checked.refusal;
    const wanted = tls.serverName ?? host;
    const { dnsNames, ipAddresses } = checked.profile;
    if (!dnsNames.includes(wanted) && !ipAddresses.includes(wanted)) {
      return `the certificate is not for ${wanted}`;
    }
    return peerOf(checked.facts);
  }

  #endpoint(
    process: Lifetime,
    outgoing: Pipe,
    remoteAddress: string,
    peer: PeerIdentity | undefined,
  ): Endpoint {
    const endpoint = new Endpoint(this.#kernel, process, outgoing, remoteAddress, peer);
    this.#endpoints.add(endpoint);
    endpoint.onClosed(() => this.#endpoints.delete(endpoint));
    return endpoint;
  }

  #listenerFor(machine: NetMachine, address: Address): Listening | undefined {
    const hosts = isLoopback(address.host)
      ? [address.host, 'localhost', '127.0.0.1', ...wildcards]
      : [address.host, machine.name, machine.address, ...wildcards];
    for (const host of hosts) {
      const found = this.#listeners.get(`${machine.name} ${host} ${address.port}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #freePort(): number {
    const port = this.#nextPort;
    this.#nextPort = port === portsMax ? firstFreePort : port + 1;
    return port;
  }

  #latency(a: string, b: string): Latency {
    const pair = a < b ? `${a}-${b}` : `${b}-${a}`;
    let latency = this.#latencies.get(pair);
    if (latency === undefined) {
      latency = { baseMs: a === b ? loopbackLatencyMs : undefined };
      this.#latencies.set(pair, latency);
    }
    return latency;
  }

  #way(from: string, to: string): Way {
    const name = `${from}>${to}`;
    let way = this.#ways.get(name);
    if (way === undefined) {
      const latency = this.#latency(from, to);
      const newest = { newestMs: 0, newestConnection: 0 };
      way = { from, to, latency, isCut: false, stalled: [], ...newest };
      this.#ways.set(name, way);
    }
    return way;
  }

  drawLatencyMs(way: Way, connectionNumber: number): number {
    const { counts, weather } = this;
    way.latency.baseMs ??= this.#random.between(0.2, 20);
    let latencyMs = way.latency.baseMs * (1 + this.#random.unit() * 0.3);
    if (weather.lossRate > 0) {
      let again = 0;
      while (again < retransmissionsMax && this.#random.chance(weather.lossRate)) {
        latencyMs += retransmitAfterMs * 2 ** again;
        again += 1;
      }
      counts.lost += again;
    }
    if (weather.delayRate > 0 && this.#random.chance(weather.delayRate)) {
      counts.delayed += 1;
      latencyMs += this.#random.between(0, delayMsMax);
    }
    const arrivalMs = this.#kernel.nowMs + latencyMs;
    if (arrivalMs >= way.newestMs) {
      way.newestMs = arrivalMs;
      way.newestConnection = connectionNumber;
    } else if (way.newestConnection !== connectionNumber) {
      counts.reordered += 1;
    }
    return latencyMs;
  }

  /** Resets a connection soon: what was just taken in has its effect, its answer is lost. */
  #loseAnswer(connectionNumber: number): void {
    const delayMs = this.#random.between(0, lostAnswerWithinMs);
    this.#kernel.schedule(delayMs, undefined, 'net.lose-answer', `${connectionNumber}`, () => {
      let struck = false;
      for (const endpoint of this.#endpoints) {
        if (endpoint.outgoing.connectionNumber !== connectionNumber) continue;
        endpoint.abort(new NetError('NET_CLOSED', 'the connection was reset', { retryable: true }));
        struck = true;
      }
      if (struck) this.counts.lostAnswers += 1;
    });
  }

  arrived(kind: string, connectionNumber: number): void {
    const { lostAnswerRate } = this.weather;
    if (lostAnswerRate === 0 || kind !== 'net.data') return;
    if (this.#random.chance(lostAnswerRate)) this.#loseAnswer(connectionNumber);
  }

  #pipe(from: NetMachine, to: NetMachine, connectionNumber: number): Pipe {
    const way = this.#way(from.name, to.name);
    return new Pipe(this.#kernel, this, way, { from, to }, connectionNumber);
  }
}
