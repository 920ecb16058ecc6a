/**
 * The events that are to come, in the order of (time, insertion).
 *
 * What comes within the next four seconds lies in a ring of slots of one millisecond
 * each, every slot a short list in order; what comes later lies in a heap and moves
 * into the ring as time goes on. Nearly everything a fleet does is within the ring,
 * where putting and taking cost the same however many events wait.
 *
 * Invariants:
 * 1. `base` is the millisecond of the event that was taken last; nothing is put before it.
 * 2. The ring holds exactly the events from `base` up to `base + slots`, each slot
 *    those of one millisecond; a slot's bit is set where it is not empty.
 */
import { assert } from '#base/mod.ts';

/** Slots of the ring; a power of two. */
const slots = 4096;
const slotMask = slots - 1;
const words = slots / 32;
const wordMask = words - 1;

export interface QueuedEvent {
  /** Milliseconds, not negative. */
  atMs: number;
  /** Tells events of one instant apart; never two the same. */
  sequence: number;
  /** The next one of its slot; the queue's own. */
  next: QueuedEvent | undefined;
}

function precedes(left: QueuedEvent, right: QueuedEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
}

export class EventQueue<Event extends QueuedEvent> {
  readonly #heads: (QueuedEvent | undefined)[] = Array.from({ length: slots });
  readonly #tails: (QueuedEvent | undefined)[] = Array.from({ length: slots });
  /** One bit for each slot that is not empty. */
  readonly #bits = new Int32Array(words);
  readonly #far = new EventHeap();
  #base = 0;
  #nearCount = 0;

  get size(): number {
    return this.#nearCount + this.#far.size;
  }

  push(event: Event): void {
    assert(event.atMs >= this.#base, 'nothing is put before what was taken');
    if (event.atMs >= this.#base + slots) this.#far.push(event);
    else this.#insert(event);
  }

  /** Takes the first event; undefined where there is none up to `untilMs`. */
  popUntil(untilMs: number): Event | undefined {
    if (this.#nearCount === 0) {
      const first = this.#far.peek();
      if (first === undefined || first.atMs > untilMs) return undefined;
      this.#far.pop();
      this.#moveBase(Math.floor(first.atMs));
      return first as Event;
    }
    const slot = this.#firstSlot();
    const first = this.#heads[slot];
    assert(first !== undefined, 'a slot with its bit set has an event');
    if (first.atMs > untilMs) return undefined;
    this.#nearCount -= 1;
    this.#heads[slot] = first.next;
    if (first.next === undefined) {
      this.#tails[slot] = undefined;
      this.#bits[slot >>> 5] = (this.#bits[slot >>> 5] ?? 0) & ~(1 << (slot & 31));
    } else {
      first.next = undefined;
    }
    const ms = Math.floor(first.atMs);
    if (ms !== this.#base) this.#moveBase(ms);
    return first as Event;
  }

  #moveBase(ms: number): void {
    this.#base = ms;
    const end = ms + slots;
    for (let far = this.#far.peek(); far !== undefined && far.atMs < end; far = this.#far.peek()) {
      this.#far.pop();
      this.#insert(far);
    }
  }

  #insert(event: QueuedEvent): void {
    const slot = Math.floor(event.atMs) & slotMask;
    this.#nearCount += 1;
    const tail = this.#tails[slot];
    if (tail === undefined) {
      this.#heads[slot] = event;
      this.#tails[slot] = event;
      this.#bits[slot >>> 5] = (this.#bits[slot >>> 5] ?? 0) | (1 << (slot & 31));
      return;
    }
    if (precedes(tail, event)) {
      tail.next = event;
      this.#tails[slot] = event;
      return;
    }
    let before = this.#heads[slot];
    if (before === undefined || precedes(event, before)) {
      event.next = before;
      this.#heads[slot] = event;
      return;
    }
    while (before.next !== undefined && precedes(before.next, event)) before = before.next;
    event.next = before.next;
    before.next = event;
  }

  /** The slot of the earliest event of the ring, which must not be empty. */
  #firstSlot(): number {
    const bits = this.#bits;
    const from = this.#base & slotMask;
    let word = from >>> 5;
    // Of the first word only what does not lie before `base`: that is the ring's far end.
    let found = (bits[word] ?? 0) & (-1 << (from & 31));
    for (let step = 0; found === 0; step += 1) {
      assert(step <= words, 'a ring that is not empty has a bit set');
      word = (word + 1) & wordMask;
      found = bits[word] ?? 0;
    }
    return (word << 5) | (31 - Math.clz32(found & -found));
  }
}

/** A binary heap by (time, insertion). */
class EventHeap {
  readonly #events: QueuedEvent[] = [];

  get size(): number {
    return this.#events.length;
  }

  peek(): QueuedEvent | undefined {
    return this.#events[0];
  }

  push(event: QueuedEvent): void {
    const events = this.#events;
    let index = events.length;
    events.push(event);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = events[parentIndex] as QueuedEvent;
      if (!precedes(event, parent)) break;
      events[index] = parent;
      index = parentIndex;
    }
    events[index] = event;
  }

  pop(): QueuedEvent | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let index = 0;
    for (;;) {
      let childIndex = index * 2 + 1;
      if (childIndex >= events.length) break;
      const right = events[childIndex + 1];
      if (right !== undefined && precedes(right, events[childIndex] as QueuedEvent)) {
        childIndex += 1;
      }
      const child = events[childIndex] as QueuedEvent;
      if (!precedes(child, last)) break;
      events[index] = child;
      index = childIndex;
    }
    events[index] = last;
    return first;
  }
}
