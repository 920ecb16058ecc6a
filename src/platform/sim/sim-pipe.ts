/**
 * One direction of one connection. Messages arrive in the order they were sent,
 * after a latency; while the link is cut they wait, and when the machine at the
 * other end is gone they are lost and the sender learns of it much later.
 */
import { assert } from '#base/mod.ts';
import type { EventTarget, Kernel, Lifetime, ScheduledEvent } from './kernel.ts';

/** A sender whose messages nobody takes for so long gives its connection up. */
const unacknowledgedMaxMs = 120_000;
const waitingMessagesMax = 100_000;

/** Between two machines, both ways; drawn when it is first needed. */
export interface Latency {
  baseMs: number | undefined;
}

/** From one machine to another, over all their connections. */
export interface Way {
  readonly from: string;
  readonly to: string;
  readonly latency: Latency;
  isCut: boolean;
  /** To be called when the way is healed. */
  stalled: (() => void)[];
  /** The message that arrives last of all that are on their way: when, and of which connection. */
  newestMs: number;
  newestConnection: number;
}

/** What pipes ask of the network that they are part of. */
export interface PipeNetwork {
  readonly counts: { messages: number; bytes: number; stalls: number };
  drawLatencyMs(way: Way, connectionNumber: number): number;
  /** Called after a message has arrived at a machine that is on. */
  arrived(kind: string, connectionNumber: number): void;
}

export interface BytesTarget {
  receive(bytes: Uint8Array): void;
}

/** A machine at an end of a pipe. */
export interface PipeMachine {
  machineLifetime(): Lifetime;
}

/** Bytes for an endpoint, or something that happens at the far end. */
type Arrival = Uint8Array | (() => void);

interface Message {
  readonly kind: string;
  readonly arrival: Arrival;
}

export class Pipe implements EventTarget {
  readonly way: Way;
  /** The same for both directions. */
  readonly connectionNumber: number;
  /** Takes the bytes that arrive at the far end. */
  onBytes: BytesTarget | undefined;
  /** Told once when the far machine has come back and knows nothing of this connection. */
  onReset: () => void = () => {};
  /** Told once when nobody has taken anything for too long. */
  onGiveUp: () => void = () => {};
  readonly #kernel: Kernel;
  readonly #network: PipeNetwork;
  readonly #owner: Lifetime;
  /** The power-on of the machines at both ends when the pipe was made. */
  readonly #fromLifetime: Lifetime;
  readonly #toLifetime: Lifetime;
  readonly #farMachine: PipeMachine;
  readonly #waiting: Message[] = [];
  #lastArrivalMs = 0;
  #stalledArrivals = 0;
  #giveUp: ScheduledEvent | undefined;
  #isSilent = false;

  constructor(
    kernel: Kernel,
    network: PipeNetwork,
    way: Way,
    ends: { readonly from: PipeMachine; readonly to: PipeMachine },
    connectionNumber: number,
  ) {
    this.#kernel = kernel;
    this.#network = network;
    this.way = way;
    this.#fromLifetime = ends.from.machineLifetime();
    this.#toLifetime = ends.to.machineLifetime();
    this.#farMachine = ends.to;
    this.connectionNumber = connectionNumber;
    this.#owner = { name: `${way.from}>${way.to}#${connectionNumber}`, alive: true };
  }

  /** From now on nothing of this connection arrives, and nobody is told. */
  silence(): void {
    this.#isSilent = true;
  }

  countBytes(sizeBytes: number): void {
    this.#network.counts.bytes += sizeBytes;
  }

  /** Has `arrival` get to the far end: bytes are handed over, an action is done. */
  send(kind: string, detail: string | number, arrival: Arrival): void {
    assert(this.#waiting.length < waitingMessagesMax, 'what is on its way stays within bounds');
    this.#waiting.push({ kind, arrival });
    this.#scheduleArrival(kind, detail);
  }

  #scheduleArrival(kind: string, detail: string | number): void {
    this.#network.counts.messages += 1;
    const latencyMs = this.#network.drawLatencyMs(this.way, this.connectionNumber);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#kernel.nowMs + latencyMs);
    this.#kernel.scheduleAt(this.#lastArrivalMs, this.#owner, kind, detail, this);
  }

  /** One message's time has come; whichever is first in the queue arrives. */
  onEvent(): void {
    if (this.way.isCut) {
      if (this.#stalledArrivals === 0) {
        this.#network.counts.stalls += 1;
        this.way.stalled.push(() => this.#healed());
      }
      this.#stalledArrivals += 1;
      this.#giveUpLater();
      return;
    }
    const message = this.#waiting.shift();
    if (message === undefined) return;
    if (this.#isSilent) {
      this.#giveUpLater();
      return;
    }
    if (this.#toLifetime.alive) {
      const { arrival } = message;
      if (typeof arrival === 'function') arrival();
      else this.onBytes?.receive(arrival);
      this.#network.arrived(message.kind, this.connectionNumber);
    } else if (this.#farMachine.machineLifetime().alive) {
      this.onReset();
    } else {
      this.#giveUpLater();
    }
  }

  #healed(): void {
    this.#giveUp?.cancel();
    this.#giveUp = undefined;
    const arrivals = this.#stalledArrivals;
    this.#stalledArrivals = 0;
    for (let count = 0; count < arrivals; count += 1) this.#scheduleArrival('net.again', '');
  }

  #giveUpLater(): void {
    this.#giveUp ??= this.#kernel.schedule(
      unacknowledgedMaxMs,
      this.#fromLifetime,
      'net.giveup',
      this.#owner.name,
      () => this.onGiveUp(),
    );
  }
}
