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
import type { HostTurns } from '#platform/io/mod.ts';
import { SimulationError } from './errors.ts';
import { EventQueue, type QueuedEvent } from './event-queue.ts';
import { createTrace, type Trace, type TraceOwner } from './trace.ts';

/** Events that may wait at once; more means that something schedules without end. */
const eventsMax = 5_000_000;
/** Events after which the host gets its turn, for what else the program has to do. */
const eventsPerTurn = 10_000;
/** Events that may run at one instant before the world is taken for stuck. */
const eventsAtOneInstantMax = 1_000_000;
const ticksPerMs = 1024;

/** Who an event belongs to: one incarnation of a process or of a machine. */
export interface Lifetime extends TraceOwner {
  readonly alive: boolean;
  /** Its events wait until then, as those of a stopped process do. */
  readonly frozenUntilMs?: number;
}

export interface ScheduledEvent {
  cancel(): void;
}

/** What happens at an event, where it is an object's own affair: one object less for each. */
export interface EventTarget {
  onEvent(): void;
}

/** As EventTarget, for the end of the present event. */
export interface EventEndTarget {
  onEventEnd(): void;
}

class Event implements ScheduledEvent, QueuedEvent {
  atMs: number;
  sequence: number;
  next: QueuedEvent | undefined = undefined;
  readonly owner: Lifetime | undefined;
  readonly kind: string;
  readonly detail: string | number;
  run: (() => void) | EventTarget | undefined;

  constructor(
    atMs: number,
    sequence: number,
    owner: Lifetime | undefined,
    kind: string,
    detail: string | number,
    run: (() => void) | EventTarget,
  ) {
    this.atMs = atMs;
    this.sequence = sequence;
    this.owner = owner;
    this.kind = kind;
    this.detail = detail;
    this.run = run;
  }

  cancel(): void {
    this.run = undefined;
  }
}

export interface KernelOptions {
  readonly seed: number;
  /** Resolves once every microtask that can run has run: one turn of the host's event loop. */
  readonly drainMicrotasks: () => Promise<void>;
  /** Does the same within one turn, many times as fast. What happens is the same, and so is the trace. */
  readonly turns?: HostTurns | undefined;
  readonly traceSink?: (line: string) => void;
}

export class Kernel {
  readonly seed: number;
  readonly trace: Trace;
  readonly #drainMicrotasks: () => Promise<void>;
  readonly #turns: HostTurns | undefined;
  readonly #queue = new EventQueue<Event>();
  readonly #nobody: TraceOwner = { name: '-' };
  readonly #noteOwners = new Map<string, TraceOwner>();
  readonly #atEventEnd: EventEndTarget[] = [];
  #nowMs = 0;
  #sequence = 0;
  #eventsRun = 0;
  #running = false;
  /** When the last event ran, and how many have run at that instant. */
  #instantMs = 0;
  #atInstant = 0;

  constructor(options: KernelOptions) {
    assert(Number.isSafeInteger(options.seed), 'a seed is an integer');
    this.seed = options.seed;
    this.trace = createTrace(options.traceSink);
    this.#drainMicrotasks = options.drainMicrotasks;
    this.#turns = options.turns;
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
    detail: string | number,
    run: () => void,
  ): ScheduledEvent {
    assert(delayMs >= 0, 'a delay is not negative');
    return this.scheduleAt(this.#nowMs + delayMs, owner, kind, detail, run);
  }

  scheduleAt(
    atMs: number,
    owner: Lifetime | undefined,
    kind: string,
    detail: string | number,
    run: (() => void) | EventTarget,
  ): ScheduledEvent {
    assert(this.#queue.size < eventsMax, 'what is to come stays within bounds');
    const event = new Event(
      Math.max(this.#nowMs, Math.ceil(atMs * ticksPerMs) / ticksPerMs),
      this.#sequence,
      owner,
      kind,
      detail,
      run,
    );
    this.#sequence += 1;
    this.#queue.push(event);
    return event;
  }

  /**
   * Calls `target` once the microtasks of the present event have run, before the next
   * event. It may schedule, and calls nothing of a program's.
   */
  atEventEnd(target: EventEndTarget): void {
    this.#atEventEnd.push(target);
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
  note(owner: string, kind: string, detail: string | number): void {
    let known = this.#noteOwners.get(owner);
    if (known === undefined) {
      known = { name: owner };
      this.#noteOwners.set(owner, known);
    }
    this.trace.record(this.#nowMs * ticksPerMs, known, kind, detail);
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

  /** Runs events until `predicate` holds: true. Or until `untilMs`: false. */
  async #loop(untilMs: number, predicate: () => boolean): Promise<boolean> {
    assert(!this.#running, 'one run at a time');
    this.#running = true;
    this.#instantMs = this.#nowMs;
    this.#atInstant = 0;
    try {
      const turns = this.#turns;
      if (turns !== undefined) return await this.#loopInTurns(turns, untilMs, predicate);
      // What the caller did just before may have left microtasks behind.
      await this.#drainMicrotasks();
      this.#endEvent();
      while (!predicate()) {
        if (!this.#runNext(untilMs)) return false;
        await this.#drainMicrotasks();
        this.#endEvent();
      }
      return true;
    } finally {
      this.#running = false;
    }
  }

  #loopInTurns(turns: HostTurns, untilMs: number, predicate: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          this.#endEvent();
          for (let count = 0; count < eventsPerTurn; count += 1) {
            if (predicate()) return resolve(true);
            if (!this.#runNext(untilMs)) return resolve(false);
            turns.runMicrotasks();
            if (this.#atEventEnd.length > 0) this.#endEvent();
          }
          turns.later(turn);
        } catch (thrown) {
          reject(thrown);
        }
      };
      turns.later(turn);
    });
  }

  #endEvent(): void {
    const hooks = this.#atEventEnd;
    // What one of them adds is called too.
    for (let index = 0; index < hooks.length; index += 1) hooks[index]?.onEventEnd();
    hooks.length = 0;
  }

  /** False where there is nothing to do up to `untilMs`. */
  #runNext(untilMs: number): boolean {
    for (;;) {
      const event = this.#queue.popUntil(untilMs);
      if (event === undefined) return false;
      const { run, owner, atMs } = event;
      if (run === undefined || owner?.alive === false) continue;
      assert(atMs >= this.#nowMs, 'time does not go back');
      const frozenUntilMs = owner?.frozenUntilMs ?? 0;
      if (frozenUntilMs > atMs) {
        event.atMs = frozenUntilMs;
        event.sequence = this.#sequence;
        this.#sequence += 1;
        this.#queue.push(event);
        continue;
      }
      this.#nowMs = atMs;
      this.#atInstant = atMs === this.#instantMs ? this.#atInstant + 1 : 0;
      this.#instantMs = atMs;
      if (this.#atInstant > eventsAtOneInstantMax) {
        throw this.#failure('SIM_STUCK', event, undefined);
      }
      this.#runEvent(event, run);
      return true;
    }
  }

  #runEvent(event: Event, run: (() => void) | EventTarget): void {
    this.#eventsRun += 1;
    event.run = undefined;
    const { owner, kind, detail } = event;
    this.trace.record(this.#nowMs * ticksPerMs, owner ?? this.#nobody, kind, detail);
    try {
      if (typeof run === 'function') run();
      else run.onEvent();
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
