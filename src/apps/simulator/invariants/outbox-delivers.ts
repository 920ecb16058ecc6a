/**
 * 9. The outbox delivers: what it took durably arrives, in order and applied once,
 * or gives way to a newer report of the same object. Looked at from both ends:
 * what was taken is on the disk, reports reach the store in the order in which agents put them, the applied
 * sequence of an outbox only rises, and in the end the newest reports are there.
 */
import type { JsonObject } from '#base/mod.ts';
import { textOf } from '#base/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import type { Outbox, UpwardEntry } from '#platform/sync/mod.ts';
import { facetOf, keyText, type Truth } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

const cursorResource = 'outboxcursors.selvage.dev';

const outboxLogFolder = 'selvage/agent/outbox/log';
/** First where an entry nearly always is; then more than what is appended together, and than one entry. */
const tailsBytes = [8 * 1024, 256 * 1024] as const;

/** Whether the newest files of the outbox hold that text. */
function isOnDisk(host: Host, text: string): boolean {
  const { tree } = host.machineDisk;
  const entries = tree.list(outboxLogFolder).filter((entry) => entry.kind === 'file');
  return tailsBytes.some((tailBytes) =>
    entries.some(({ name, sizeBytes }) => {
      const file = tree.find(`${outboxLogFolder}/${name}`);
      if (file?.kind !== 'file') return false;
      const from = Math.max(0, sizeBytes - tailBytes);
      return textOf(file.read(from, sizeBytes - from)).includes(text);
    }),
  );
}

interface Put {
  readonly nodeName: string;
  readonly text: string;
  isDurable: boolean;
}

export class OutboxDelivers {
  readonly #truth: Truth;
  readonly #violate: Violate;
  /** By uid of the subject, in the order in which they were put. */
  readonly #puts = new Map<string, Put[]>();
  /** How far the store has come in them. */
  readonly #arrived = new Map<string, number>();

  constructor(truth: Truth, violate: Violate) {
    this.#truth = truth;
    this.#violate = violate;
    truth.onBatch((batch) => {
      for (const { type, object, previous } of batch.events) {
        if (type === 'delete') continue;
        if (object.key.resource === cursorResource) {
          this.#lookAtCursor(
            facetOf(object, 'intent'),
            previous && facetOf(previous, 'intent'),
            keyText(object.key),
          );
        } else if (object.facets.report?.revision === batch.revision) {
          const report = facetOf(object, 'report');
          if (report !== undefined) this.#arrive(object.uid, object.key.name, report);
        }
      }
    });
  }

  /** The same outbox, with every entry looked at on its way in. */
  watch(outbox: Outbox, host: Host): Outbox {
    const nodeName = host.name;
    return {
      get pendingCount() {
        return outbox.pendingCount;
      },
      put: async (entry) => {
        const put = this.#note(entry, nodeName);
        const position = await outbox.put(entry);
        if (!isOnDisk(host, JSON.stringify(entry))) {
          const why = `the outbox of ${nodeName} took an entry (${entry.type}) that is not on its disk`;
          this.#violate(invariants.outboxDelivers, why);
        }
        if (put !== undefined) put.isDurable = true;
        return position;
      },
      declareLoss: (known) => outbox.declareLoss(known),
      deliver: (session) => outbox.deliver(session),
      close: () => outbox.close(),
    };
  }

  /** The store is one of an earlier time: what came after it has to come again. */
  beginAgain(): void {
    this.#arrived.clear();
    for (const object of this.#truth.objects()) {
      const text = JSON.stringify(facetOf(object, 'report'));
      const index = this.#puts.get(object.uid)?.findLastIndex((put) => put.text === text) ?? -1;
      if (index >= 0) this.#arrived.set(object.uid, index);
    }
  }

  /** That node's disk is empty: what its outbox held is gone, and not by its fault. */
  forget(nodeName: string): void {
    for (const puts of this.#puts.values()) {
      for (const put of puts) if (put.nodeName === nodeName) put.isDurable = false;
    }
  }

  /** What is missing at the end, once nothing is on its way any more. */
  missing(): string | undefined {
    for (const [uid, puts] of this.#puts) {
      const lastDurable = puts.findLastIndex((put) => put.isDurable);
      if (lastDurable <= (this.#arrived.get(uid) ?? -1)) continue;
      const found = this.#truth.ofUid(uid);
      if (found === undefined || found.isDeleted) continue;
      const { nodeName, text } = puts[lastDurable] as Put;
      const { object } = found;
      // Put again word for word, as an agent does that starts again: the store had it already.
      if (JSON.stringify(facetOf(object, 'report')) === text) continue;
      const isOwn =
        object.key.resource === 'nodes' || facetOf(object, 'assignment')?.['nodeName'] === nodeName;
      if (isOwn) {
        return `the outbox of ${nodeName} took a report on ${keyText(object.key)} that never arrived: ${text.slice(0, 200)}`;
      }
    }
    return undefined;
  }

  requireAll(): void {
    const missing = this.missing();
    if (missing !== undefined) this.#violate(invariants.outboxDelivers, missing);
  }

  #note(entry: UpwardEntry, nodeName: string): Put | undefined {
    if (entry.type !== 'report') return undefined;
    const put = { nodeName, text: JSON.stringify(entry.report), isDurable: false };
    const puts = this.#puts.get(entry.uid) ?? [];
    puts.push(put);
    this.#puts.set(entry.uid, puts);
    return put;
  }

  #arrive(uid: string, name: string, report: JsonObject): void {
    const puts = this.#puts.get(uid);
    if (puts === undefined) return;
    const text = JSON.stringify(report);
    const from = this.#arrived.get(uid) ?? -1;
    const index = puts.findIndex((put, at) => at >= from && put.text === text);
    if (index === -1) {
      const why = `a report on ${name} arrived that is older than one before it, or that nobody put`;
      this.#violate(invariants.outboxDelivers, why);
      return;
    }
    this.#arrived.set(uid, index);
  }

  #lookAtCursor(now: JsonObject | undefined, before: JsonObject | undefined, what: string): void {
    if (now === undefined || before === undefined) return;
    if (now['incarnation'] !== before['incarnation']) return;
    if (Number(now['sequence']) >= Number(before['sequence'])) return;
    const why = `${what} went back from ${JSON.stringify(before['sequence'])} to ${JSON.stringify(now['sequence'])}`;
    this.#violate(invariants.outboxDelivers, why);
  }
}
