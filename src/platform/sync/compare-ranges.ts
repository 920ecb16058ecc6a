/**
 * The owner's side of a comparison: from the whole slice down to the ranges in which
 * the two sides differ, and from those to what must be sent. Ranges that agree cost a
 * digest, whatever is in them.
 */
import type { Uid } from '#base/mod.ts';
import { keyText, objectDigest, type ObjectKey, type StoredObject } from '#platform/store/mod.ts';
import { type DigestTree, emptyDigest } from './digest-tree.ts';
import { SyncError } from './errors.ts';
import { type RangeAnswer, type RangeEntry, rangesPerMessageMax } from './range-messages.ts';
import type { Contents } from './slice-contents.ts';
import type { SliceChange } from './slice-messages.ts';

/** Ranges that may be asked about, for each object of either side: far more than differ ever need. */
const rangesPerObject = 16;
const rangesAtLeast = 1024;

export interface Comparison {
  /** What the follower is to have, and its digests. */
  readonly now: Contents;
  readonly digests: DigestTree;
  /** Objects that the follower says it has. */
  readonly heldCount: number;
  /** What became of an object that the follower has and the slice has not. */
  readonly goneAs: (gone: { readonly key: ObjectKey; readonly uid: Uid }) => 'delete' | 'leave';
  /** Asks about at most `rangesPerMessageMax` ranges. */
  readonly ask: (prefixes: readonly string[]) => Promise<readonly RangeAnswer[]>;
}

/** What takes the follower to `now`. Rejects with SyncError, and with what `ask` rejects with. */
export async function compareRanges(comparison: Comparison): Promise<SliceChange[]> {
  const { now, digests, heldCount, ask } = comparison;
  const changes: SliceChange[] = [];
  let ranges = [''];
  let askedCount = 0;
  while (ranges.length > 0) {
    askedCount += ranges.length;
    if (askedCount > rangesAtLeast + rangesPerObject * (now.size + heldCount)) {
      throw new SyncError('SYNC_MALFORMED', 'the answers about ranges come to no end');
    }
    const asked = ranges;
    ranges = [];
    const messages: (readonly string[])[] = [];
    for (let begin = 0; begin < asked.length; begin += rangesPerMessageMax) {
      messages.push(asked.slice(begin, begin + rangesPerMessageMax));
    }
    // All of one depth are on their way at once: what it costs in round trips is the depth.
    const answered = await Promise.all(messages.map((prefixes) => ask(prefixes)));
    for (const [index, answer] of answered.flat().entries()) {
      const prefix = asked[index] ?? '';
      if ('entries' in answer) {
        resolveRange(comparison, prefix, answer.entries, changes);
        continue;
      }
      for (const [digit, theirs] of answer.parts.entries()) {
        const part = prefix + digit.toString(16);
        if (theirs === digests.digestOf(part)) continue;
        if (theirs === emptyDigest) resolveRange(comparison, part, [], changes);
        else ranges.push(part);
      }
    }
  }
  return changes;
}

/** What must be sent for a range of which all is known that the follower has. */
function resolveRange(
  { digests, goneAs }: Comparison,
  prefix: string,
  theirs: readonly RangeEntry[],
  changes: SliceChange[],
): void {
  const held = new Map(theirs.map((entry) => [keyText(entry.key), entry]));
  const own: StoredObject[] = digests.objectsIn(prefix);
  const uids = new Map(own.map(({ key, uid }) => [keyText(key), uid]));
  for (const [text, entry] of held) {
    const { key, uid } = entry;
    if (uids.get(text) === uid) continue;
    const revision = 0 as StoredObject['revision'];
    changes.push({ type: goneAs(entry), key, uid, revision });
  }
  for (const object of own) {
    const entry = held.get(keyText(object.key));
    if (entry?.uid === object.uid && entry.digest === objectDigest(object)) continue;
    changes.push({ type: 'put', extent: 'whole', object });
  }
}
