/**
 * What the writers of the `api` soak know of their objects: the states that each may be in.
 * Each object has one writer. An answer leaves one state; a write without an answer adds
 * the one that it would have made.
 */
import type { ShownObject } from './watched-view.ts';

/** Undefined: it is not there. */
type State = string | undefined;

interface Entry {
  states: Set<State>;
  /** Of the last write that was answered, where the answer told it. */
  acknowledged: Held | undefined;
}

interface Held {
  readonly revision: number;
  readonly value: string;
}

export class WriteLedger {
  readonly faults: string[] = [];
  /** Of acknowledged writes, in the order of their answers. */
  readonly revisions: number[] = [];
  readonly #entries = new Map<string, Entry>();

  /** The server has answered that this is what there is now. */
  written(name: string, value: string, revision: number): void {
    const before = this.#entries.get(name)?.acknowledged;
    if (before !== undefined && revision <= before.revision) {
      this.faults.push(`${name} was written at ${revision}, before that at ${before.revision}`);
    }
    this.#entries.set(name, { states: new Set([value]), acknowledged: { revision, value } });
    this.revisions.push(revision);
  }

  deleted(name: string): void {
    this.#entries.set(name, { states: new Set([undefined]), acknowledged: undefined });
  }

  /** There was no answer: what was asked for may have happened. */
  unanswered(name: string, state: State): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      this.#entries.set(name, { states: new Set([undefined, state]), acknowledged: undefined });
    } else {
      entry.states.add(state);
    }
  }

  /** The server says that there is no such object. */
  notFound(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || !entry.states.has(undefined)) {
      this.faults.push(`${name} was acknowledged and is not found`);
    }
    this.deleted(name);
  }

  /** What is wrong with what there is at last. */
  differences(listed: readonly ShownObject[]): readonly string[] {
    const found = [...this.faults];
    const byName = new Map(listed.map((object) => [object.name, object]));
    for (const [name, { states, acknowledged }] of this.#entries) {
      const object = byName.get(name);
      if (!states.has(object?.value)) {
        const wanted = [...states].map((state) => state ?? 'nothing').join(' or ');
        found.push(`${name} is ${object?.value ?? 'not there'}, and was written as ${wanted}`);
      } else if (
        object !== undefined &&
        acknowledged !== undefined &&
        object.value === acknowledged.value &&
        object.revision !== acknowledged.revision
      ) {
        found.push(`${name} is of ${object.revision}, and was written at ${acknowledged.revision}`);
      }
    }
    for (const name of byName.keys()) {
      if (!this.#entries.has(name)) found.push(`${name} is there, and nobody wrote it`);
    }
    return found;
  }
}
