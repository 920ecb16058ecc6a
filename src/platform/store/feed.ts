/**
 * A whole store as a stream of messages, for a copy of it in another process: first
 * every object of one revision, then each transaction after it.
 *
 * Invariants:
 * 1. A feed has no gap: what it cannot hold for a reader that is too slow ends it.
 * 2. A message is read to its end by StoreCopy, or refused; there is no version of it, as
 *    both ends are of one program.
 *
 * Message: type 1, then for `objects` a block of a snapshot; for `begins` revision, chain
 * hash and incarnation; for `transactions` any number of revision, chain hash, record.
 */
import { assert, type Revision, SelvageError } from '#base/mod.ts';
import { encodeTransaction, Writer } from './record.ts';
import { snapshotBlocks } from './snapshot.ts';
import type { Change, CommittedBatch, ObjectEvent, OwnedStore } from './types.ts';

export const feedMessage = { objects: 1, begins: 2, transactions: 3 } as const;

/** Of one message; a single transaction may be larger. */
const messageBytesTarget = 64 * 1024;
const waitingTransactionsMax = 65_536;

export class FeedBehindError extends SelvageError {
  override readonly name = 'FeedBehindError';

  constructor() {
    const words = `a copy of the store is more than ${waitingTransactionsMax} transactions behind`;
    super('STORE_FEED_BEHIND', words);
  }
}

export interface StoreFeed {
  /** In order, at the pace of the reader. Throws FeedBehindError; ends after `close`. */
  messages(): AsyncGenerator<Uint8Array>;
  close(): void;
}

/** Everything from now on. */
export function openFeed(store: OwnedStore): StoreFeed {
  const begins = store.head();
  const objects = store.everything();
  let waiting: CommittedBatch[] = [];
  const state = { isBehind: false, isClosed: false };
  let wake = (): void => undefined;
  const watch = store.watch(begins.sequence, (batch) => {
    if (waiting.length >= waitingTransactionsMax) {
      state.isBehind = true;
      waiting = [];
      watch.close();
    } else waiting.push(batch);
    wake();
  });

  async function* messages(): AsyncGenerator<Uint8Array> {
    const writer = new Writer();
    for (const block of snapshotBlocks(objects, () => 0, noteNothing)) {
      writer.reset();
      writer.byte(feedMessage.objects);
      writer.bytes(block);
      yield writer.written().slice();
    }
    writer.reset();
    writer.byte(feedMessage.begins);
    writer.number(begins.sequence);
    writer.text(begins.chainHash);
    writer.text(begins.incarnation);
    yield writer.written().slice();
    const records = new Writer();
    while (!state.isClosed) {
      if (state.isBehind) throw new FeedBehindError();
      const batches = waiting;
      waiting = [];
      let at = 0;
      while (at < batches.length) {
        writer.reset();
        writer.byte(feedMessage.transactions);
        for (; at < batches.length && writer.length < messageBytesTarget; at += 1) {
          const batch = batches[at];
          assert(batch !== undefined, 'a position in the list has a batch');
          writer.number(batch.revision);
          writer.text(batch.chainHash);
          writer.bytes(encodeTransaction(records, 0, changesOf(batch)));
        }
        yield writer.written().slice();
      }
      if (waiting.length > 0 || state.isBehind || state.isClosed) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      wake = () => undefined;
    }
  }

  return {
    messages,
    close() {
      state.isClosed = true;
      watch.close();
      wake();
    },
  };
}

function noteNothing(): void {}

function changesOf({ events, revision }: CommittedBatch): readonly Change[] {
  return events.flatMap((event) => changesOfEvent(event, revision));
}

function changesOfEvent(
  { type, object, previous }: ObjectEvent,
  revision: Revision,
): readonly Change[] {
  const { key, uid } = object;
  if (type === 'delete') return [{ type, key, uid }];
  const changes: Change[] = [];
  if (previous !== undefined && previous.uid !== uid) {
    changes.push({ type: 'delete', key, uid: previous.uid });
  }
  for (const [facet, value] of Object.entries(object.facets)) {
    if (value.revision !== revision) continue;
    const { bytes, note } = value;
    const put = {
      type: 'put' as const,
      key,
      uid,
      facet: facet as keyof typeof object.facets,
      bytes,
    };
    changes.push(note === undefined ? put : { ...put, note });
  }
  return changes;
}
