/**
 * Virtual time and the one heap of events. Everything that happens in a world is
 * an event: a timer that fires, bytes that arrive, a disk operation that ends.
 *
 * Invariants:
 * 1. Events run in the order of (time, insertion); time never goes back.
 * 2. All microtasks that an event caused have run before the next event does.
 * 3. An event of a dead lifetime never runs.
 * 4. While a lifetime is frozen none of its events runs; then all that came meanwhile
 *    do, in the order in which they would have.
 * 5. Instants are multiples of 1/1024 ms, so that sums and differences of them are
 *    exact and every machine computes the same ones.
 */
import { assert, errorText } from '#base/mod.ts';
import { SimulationError } from './errors.ts';
import { createTrace, type Trace } from './trace.ts';

/** Events that may wait at once; more means that something schedules without end. */
const eventsMax = 5_000_000;
/** Events that may run at one instant before the world is taken for stuck. */
const eventsAtOneInstantMax = 1_000_000;
const ticksPerMs = 1024;

/** Who an event belongs to: one incarnation of a process or of a machine. */
export interface Lifetime {
  /** Stands in the trace. */
  readonly name: string;
  readonly alive: boolean;
  /** Its events wait until then, as those of a stopped process do. */
  readonly frozenUntilMs?: number;
}

export interface ScheduledEvent {
  cancel(): void;
}

interface Event extends ScheduledEvent {
  atMs: number;
  sequence: number;
  readonly owner: Lifetime | undefined;
  readonly kind: string;
  readonly detail: string;
  run: (() => void) | undefined;
}

function precedes(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
}

/** A binary heap by (time, insertion). */
class EventHeap {
  readonly #events: Event[] = [];

  get size(): number {
    return this.#events.length;
  }

  peek(): Event | undefined {
    return this.#events[0];
  }

  push(event: Event): void {
    const events = this.#events;
    let index = events.length;
    events.push(event);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = events[parentIndex] as Event;
      if (!precedes(event, parent)) break;
      events[index] = parent;
      index = parentIndex;
    }
    events[index] = event;
  }

  pop(): Event | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let index = 0;
    for (;;) {
      let childIndex = index * 2 + 1;
      if (childIndex >= events.length) break;
      const right = events[childIndex + 1];
      if (right !== undefined && precedes(right, events[childIndex] as Event)) childIndex += 1;
      const child = events[childIndex] as Event;
      if (!precedes(child, last)) break;
      events[index] = child;
      index = childIndex;
    }
    events[index] = last;
    return first;
  }
}

export interface KernelOptions {
  readonly seed: number;
  /** Resolves once every microtask that can run has run: one turn of the host's event loop. */
  readonly drainMicrotasks: () => Promise<void>;
  readonly traceSink?: (line: string) => void;
}

export class Kernel {
  readonly seed: number;
  readonly trace: Trace;
  readonly #drainMicrotasks: () => Promise<void>;
  readonly #heap = new EventHeap();
  #nowMs = 0;
  #sequence = 0;
  #eventsRun = 0;
  #running = false;

  constructor(options: KernelOptions) {
    assert(Number.isSafeInteger(options.seed), 'a seed is an integer');
    this.seed = options.seed;
    this.trace = createTrace(options.traceSink);
    this.#drainMicrotasks = options.drainMicrotasks;
  }

  /** Milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Number of the event that runs; two calls within one event see the same number. */
  get eventNumber(): number {
    return this.#eventsRun;
  }

  /** Runs `run` `delayMs` from now, unless cancelled or `owner` is dead by then. */
  schedule(
    delayMs: number,
    owner: Lifetime | undefined,
    kind: string,
    detail: string,
    run: () => void,
  ): ScheduledEvent {
    assert(delayMs >= 0, `a delay of ${delayMs} ms`);
    return this.scheduleAt(this.#nowMs + delayMs, owner, kind, detail, run);
  }

  scheduleAt(
    atMs: number,
    owner: Lifetime | undefined,
    kind: string,
    detail: string,
    run: () => void,
  ): ScheduledEvent {
    assert(this.#heap.size < eventsMax, `no more than ${eventsMax} waiting events`);
    const event: Event = {
      atMs: Math.max(this.#nowMs, Math.ceil(atMs * ticksPerMs) / ticksPerMs),
      sequence: this.#sequence,
      owner,
      kind,
      detail,
      run,
      cancel: () => {
        event.run = undefined;
      },
    };
    this.#sequence += 1;
    this.#heap.push(event);
    return event;
  }

  /** Runs `run` at once, or when `process` is no longer frozen; never once it is dead. */
  whenThawed(process: Lifetime, kind: string, run: () => void): void {
    if (this.isFrozen(process)) this.schedule(0, process, kind, '', run);
    else run();
  }

  isFrozen(process: Lifetime): boolean {
    return (process.frozenUntilMs ?? 0) > this.#nowMs;
  }

  /** Adds a line of its own to the trace: a fault that was injected, a log line. */
  note(owner: string, kind: string, detail: string): void {
    this.trace.record(`${this.#nowMs * ticksPerMs} ${owner} ${kind} ${detail}`);
  }

  /** Runs every event up to `untilMs`, then stands at that instant. */
  async run(untilMs: number): Promise<void> {
    assert(untilMs >= this.#nowMs, 'time does not go back');
    await this.#loop(untilMs, () => false);
    this.#nowMs = untilMs;
  }

  /**
   * Runs until `predicate` holds, looked at after every event. False when it still
   * does not hold `limitMs` from now, which is then the present.
   */
  async runUntil(predicate: () => boolean, limitMs: number): Promise<boolean> {
    const untilMs = this.#nowMs + limitMs;
    if (await this.#loop(untilMs, predicate)) return true;
    this.#nowMs = untilMs;
    return predicate();
  }

  async #loop(untilMs: number, predicate: () => boolean): Promise<boolean> {
    assert(!this.#running, 'one run at a time');
    this.#running = true;
    try {
      // What the caller did just before may have left microtasks behind.
      await this.#drainMicrotasks();
      let instantMs = this.#nowMs;
      let atInstant = 0;
      while (!predicate()) {
        const event = this.#heap.peek();
        if (event === undefined || event.atMs > untilMs) return false;
        this.#heap.pop();
        const { run, owner } = event;
        if (run === undefined || owner?.alive === false) continue;
        assert(event.atMs >= this.#nowMs, 'time does not go back');
        const frozenUntilMs = owner?.frozenUntilMs ?? 0;
        if (frozenUntilMs > event.atMs) {
          event.atMs = frozenUntilMs;
          event.sequence = this.#sequence;
          this.#sequence += 1;
          this.#heap.push(event);
          continue;
        }
        this.#nowMs = event.atMs;
        atInstant = event.atMs === instantMs ? atInstant + 1 : 0;
        instantMs = event.atMs;
        if (atInstant > eventsAtOneInstantMax) throw this.#failure('SIM_STUCK', event, undefined);
        this.#runEvent(event, run);
        await this.#drainMicrotasks();
      }
      return true;
    } finally {
      this.#running = false;
    }
  }

  #runEvent(event: Event, run: () => void): void {
    this.#eventsRun += 1;
    event.run = undefined;
    this.note(event.owner?.name ?? '-', event.kind, event.detail);
    try {
      run();
    } catch (thrown) {
      throw this.#failure('SIM_EVENT_THREW', event, thrown);
    }
  }

  #failure(code: 'SIM_STUCK' | 'SIM_EVENT_THREW', event: Event, cause: unknown): SimulationError {
    const what =
      code === 'SIM_STUCK'
        ? `time does not move on (${eventsAtOneInstantMax} events at one instant)`
        : `an event threw: ${errorText(cause)}`;
    return new SimulationError(
      code,
      `seed ${this.seed} at ${this.#nowMs} ms, ${event.owner?.name ?? '-'} ${event.kind}: ${what}`,
      { cause },
    );
  }
}
