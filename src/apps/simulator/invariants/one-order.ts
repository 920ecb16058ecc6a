/**
 * 3. There is one order of changes. Revisions rise by one; a change of an object
 * names as its past what was its present; and clients that increment one counter
 * under optimistic concurrency never undo each other.
 */
import { isJsonObject } from '#base/mod.ts';
import type { CommittedBatch } from '#platform/store/mod.ts';
import { tallyKey } from '../constants.ts';
import { facetOf, keyText, type Truth } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

export function checkOneOrder(truth: Truth, violate: Violate): void {
  const fail = (why: string): void => violate(invariants.oneOrder, why);
  let tally = 0;
  const lookAtTally = (batch: CommittedBatch): void => {
    for (const { type, object } of batch.events) {
      if (type !== 'put' || keyText(object.key) !== keyText(tallyKey)) continue;
      const data = facetOf(object, 'intent')?.['data'];
      const count = Number(isJsonObject(data) ? data['count'] : undefined);
      if (count !== tally && count !== tally + 1) {
        fail(`the tally went from ${tally} to ${count} at revision ${batch.revision}`);
      }
      if (count === tally && count !== 0) {
        fail(`two clients both made the tally ${count}, the later at revision ${batch.revision}`);
      }
      tally = count;
    }
  };
  truth.onBatch((batch) => {
    if (batch.revision !== truth.revision + 1) {
      fail(`revision ${batch.revision} follows ${truth.revision}`);
    }
    for (const { object, previous } of batch.events) {
      const before = truth.get(object.key);
      if (before?.revision !== previous?.revision || before?.uid !== previous?.uid) {
        const text = `${keyText(object.key)} changed from ${previous?.revision ?? 'nothing'}`;
        fail(`${text} at ${batch.revision}, and was at ${before?.revision ?? 'nothing'}`);
      }
      if (object.revision !== batch.revision) {
        fail(`${keyText(object.key)} says ${object.revision} in revision ${batch.revision}`);
      }
    }
    lookAtTally(batch);
  });
}
