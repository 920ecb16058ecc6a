/**
 * What one watcher of the `api` soak holds: the objects as an informer keeps them, and what
 * it was shown on the way. What must not happen is kept as a sentence when it happens.
 */
export interface ShownObject {
  readonly name: string;
  readonly revision: number;
  readonly value: string;
}

export interface ShownEvent extends ShownObject {
  readonly type: string;
}

export interface Held {
  readonly revision: number;
  readonly value: string;
}

/** Of one watcher; more of the same tell nothing. */
const faultsMax = 5;
const missingShownMax = 5;

export class WatchedView {
  readonly objects = new Map<string, Held>();
  readonly faults: string[] = [];
  /** Of events, as they came. */
  readonly revisions: number[] = [];
  /** What lists took the place of: after the first, up to the second. */
  readonly replaced: (readonly [after: number, to: number])[] = [];
  #revision = 0;

  /** From which a watch goes on. */
  get revision(): number {
    return this.#revision;
  }

  list(revision: number, objects: readonly ShownObject[]): void {
    if (revision < this.#revision) {
      this.#fault(`a list of ${revision} came after ${this.#revision}`);
    }
    this.replaced.push([this.#revision, revision]);
    this.objects.clear();
    for (const { name, ...held } of objects) this.objects.set(name, held);
    this.#revision = revision;
  }

  bookmark(revision: number): void {
    if (revision < this.#revision) {
      this.#fault(`a bookmark of ${revision} came after ${this.#revision}`);
    }
    this.#revision = revision;
  }

  event({ type, name, revision, value }: ShownEvent): void {
    if (revision <= this.#revision) {
      this.#fault(`${type} of ${name} at ${revision} came after ${this.#revision}`);
    }
    this.#revision = revision;
    this.revisions.push(revision);
    const isKnown = this.objects.has(name);
    switch (type) {
      case 'ADDED':
        if (isKnown) this.#fault(`${name} was added at ${revision} and was there`);
        break;
      case 'MODIFIED':
      case 'DELETED':
        if (!isKnown) this.#fault(`${name} was not there when ${type} at ${revision}`);
        break;
      default:
        this.#fault(`an event of type ${type}`);
    }
    if (type === 'DELETED') this.objects.delete(name);
    else this.objects.set(name, { revision, value });
  }

  /** Writes that were acknowledged after the first list and neither shown nor in a later list. */
  missingOf(acknowledged: readonly number[]): readonly number[] {
    const [first] = this.replaced;
    const shown = new Set(this.revisions);
    const begun = first?.[1] ?? Number.POSITIVE_INFINITY;
    return acknowledged.filter(
      (revision) =>
        revision > begun &&
        !shown.has(revision) &&
        !this.replaced.some(([after, to]) => revision > after && revision <= to),
    );
  }

  /** Everything that is wrong, given what was acknowledged and what there is at last. */
  differences(acknowledged: readonly number[], listed: readonly ShownObject[]): readonly string[] {
    const found = [...this.faults];
    const missing = this.missingOf(acknowledged);
    if (missing.length > 0) {
      const some = missing.slice(0, missingShownMax).join(', ');
      found.push(`${missing.length} acknowledged writes were not shown: ${some}`);
    }
    const wrong = listed.filter(({ name, revision, value }) => {
      const held = this.objects.get(name);
      return held?.revision !== revision || held.value !== value;
    });
    const names = new Set(listed.map(({ name }) => name));
    const extra = [...this.objects.keys()].filter((name) => !names.has(name));
    const unlike = [...wrong.map(({ name }) => name), ...extra];
    if (unlike.length > 0) {
      const some = unlike.slice(0, missingShownMax).join(', ');
      found.push(`${unlike.length} objects are not as the list has them: ${some}`);
    }
    return found;
  }

  #fault(text: string): void {
    if (this.faults.length < faultsMax) this.faults.push(text);
  }
}
