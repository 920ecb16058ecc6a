/**
 * 9, for what people read: an event that an outbox took durably is there in the end, counted
 * as often as it was taken, or the node's outbox has declared that so many are missing.
 * What is told of an object that is gone by then is nobody's any more.
 */
import { isJsonObject } from '#base/mod.ts';
import { resources, type ApiObject } from '#platform/api/mod.ts';
import type { UpwardEntry } from '#platform/sync/mod.ts';
import type { Fleet } from '../fleet.ts';
import { facetOf, type Truth } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

const droppedPattern = /^(\d+) events of this node were (?:dropped|refused)/;

type EventEntry = Extract<UpwardEntry, { readonly type: 'event' }>;

interface Taken {
  readonly nodeName: string;
  readonly uid: string;
  readonly what: string;
  /** Those of which the outbox has said that they are on its disk, and all. */
  durable: number;
  all: number;
}

export class EventsArrive {
  readonly #truth: Truth;
  readonly #violate: Violate;
  readonly #taken = new Map<string, Taken>();

  constructor(truth: Truth, violate: Violate) {
    this.#truth = truth;
    this.#violate = violate;
  }

  /** To be called before it is put; what it returns, when the outbox has it. */
  take({ regarding, reason, message }: EventEntry, nodeName: string): () => void {
    const { uid } = regarding;
    const what = `${reason}: ${message}`;
    const key = `${nodeName} ${uid} ${what}`;
    const taken = this.#taken.get(key) ?? { nodeName, uid, what, durable: 0, all: 0 };
    this.#taken.set(key, taken);
    taken.all += 1;
    return () => {
      taken.durable += 1;
    };
  }

  /** That node's disk is empty: what waited there is gone. */
  forget(nodeName: string): void {
    for (const taken of this.#taken.values()) if (taken.nodeName === nodeName) taken.durable = 0;
  }

  /** For a fleet at rest, whose events are not so old that they were removed. */
  async requireAll({ operator }: Fleet): Promise<void> {
    const { items } = await operator.persist('list events', (client) =>
      client.list(resources.events),
    );
    const counts = new Map<string, number>();
    const dropped = new Map<string, number>();
    for (const event of items) {
      const { uid, name, host, text, count } = factsOf(event);
      const key = `${host} ${uid} ${text}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
      const many = droppedPattern.exec(String(event['message']))?.[1];
      if (many !== undefined) dropped.set(name, (dropped.get(name) ?? 0) + Number(many) * count);
    }
    for (const [key, taken] of this.#taken) {
      const { nodeName, uid, what, durable, all } = taken;
      const found = this.#truth.ofUid(uid);
      if (found === undefined || found.isDeleted) continue;
      const { object } = found;
      const isOwn =
        object.key.resource === 'nodes' || facetOf(object, 'assignment')?.['nodeName'] === nodeName;
      const count = counts.get(key) ?? 0;
      const text = `of ${durable} events '${what}' that the outbox of ${nodeName} took on ${object.key.name}, ${count}`;
      if (isOwn && count + (dropped.get(nodeName) ?? 0) < durable) {
        this.#violate(invariants.outboxDelivers, `${text} are there`);
      }
      if (count > all) this.#violate(invariants.outboxDelivers, `${text} are counted`);
    }
  }
}

function factsOf(event: ApiObject) {
  const { involvedObject, source, reason, message, count } = event as unknown as Record<
    string,
    unknown
  >;
  return {
    uid: textIn(involvedObject, 'uid'),
    name: textIn(involvedObject, 'name'),
    host: textIn(source, 'host'),
    text: `${String(reason)}: ${String(message)}`,
    count: typeof count === 'number' ? count : 1,
  };
}

function textIn(value: unknown, field: string): string {
  const found = isJsonObject(value) ? value[field] : undefined;
  return typeof found === 'string' ? found : '';
}
