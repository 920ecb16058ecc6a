/**
 * One direction of one connection. Messages arrive in the order they were sent,
 * after a latency; while the link is cut they wait, and when the machine at the
 * other end is gone they are lost and the sender learns of it much later.
 */
import { assert } from '#base/mod.ts';
import type { Kernel, Lifetime, ScheduledEvent } from './kernel.ts';

/** A sender whose messages nobody takes for so long gives its connection up. */
const unacknowledgedMaxMs = 120_000;
const waitingMessagesMax = 100_000;

/** What a pipe asks of the network that it is part of. */
export interface PipeLink {
  readonly from: string;
  readonly to: string;
  /** The power-on of the machines at both ends when the pipe was made. */
  readonly fromLifetime: Lifetime;
  readonly toLifetime: Lifetime;
  drawLatencyMs(): number;
  isCut(): boolean;
  /** Called after a message has arrived at a machine that is on. */
  arrived(kind: string): void;
  /** Has `resume` called when the link is healed. */
  awaitHeal(resume: () => void): void;
  /** Whether the machine at the far end is on, be it again. */
  isFarMachineOn(): boolean;
}

interface Message {
  readonly kind: string;
  readonly arrive: (item: never) => void;
  readonly item: unknown;
}

export class Pipe {
  readonly link: PipeLink;
  /** The same for both directions. */
  readonly connectionNumber: number;
  /** Told once when the far machine has come back and knows nothing of this connection. */
  onReset: () => void = () => {};
  /** Told once when nobody has taken anything for too long. */
  onGiveUp: () => void = () => {};
  readonly #kernel: Kernel;
  readonly #owner: Lifetime;
  readonly #waiting: Message[] = [];
  #lastArrivalMs = 0;
  #stalledArrivals = 0;
  #giveUp: ScheduledEvent | undefined;
  #isSilent = false;
  readonly #arrivalNow = (): void => this.#arrival();

  constructor(kernel: Kernel, link: PipeLink, connectionNumber: number) {
    this.#kernel = kernel;
    this.link = link;
    this.connectionNumber = connectionNumber;
    this.#owner = { name: `${link.from}>${link.to}#${connectionNumber}`, alive: true };
  }

  /** From now on nothing of this connection arrives, and nobody is told. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Calls `arrive` with `item` at the far end when the message gets there. */
  send<Item>(
    kind: string,
    detail: string | number,
    arrive: (item: Item) => void,
    item: Item,
  ): void {
    assert(this.#waiting.length < waitingMessagesMax, 'what is on its way stays within bounds');
    this.#waiting.push({ kind, arrive, item });
    this.#scheduleArrival(kind, detail);
  }

  #scheduleArrival(kind: string, detail: string | number): void {
    const atMs = this.#kernel.nowMs + this.link.drawLatencyMs();
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, atMs);
    this.#kernel.scheduleAt(this.#lastArrivalMs, this.#owner, kind, detail, this.#arrivalNow);
  }

  /** One message's time has come; whichever is first in the queue arrives. */
  #arrival(): void {
    if (this.link.isCut()) {
      if (this.#stalledArrivals === 0) this.link.awaitHeal(() => this.#healed());
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
    if (this.link.toLifetime.alive) {
      message.arrive(message.item as never);
      this.link.arrived(message.kind);
    } else if (this.link.isFarMachineOn()) {
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
      this.link.fromLifetime,
      'net.giveup',
      this.#owner.name,
      () => this.onGiveUp(),
    );
  }
}
