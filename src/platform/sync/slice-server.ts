/**
 * All followers of one store. One watch serves them: an event goes to the senders
 * of the slices that the object is or was in, and to those whose members name it.
 *
 * Invariant: a transaction that concerns no follower costs the same however many
 * there are.
 */
import type { Timer } from '#platform/io/mod.ts';
import { keyText, type ObjectEvent } from '#platform/store/mod.ts';
import {
  differenceOf,
  followerIn,
  type Place,
  type SenderHost,
  SliceSender,
} from './slice-sender.ts';
import type { SliceServer, SliceServerOptions } from './types.ts';

/** Followers whom nothing concerned hear this often how far they are, all in one go. */
const progressIntervalMs = 5_000;

export function createSliceServer(options: SliceServerOptions): SliceServer {
  const { store, rules, timers } = options;
  const bySlice = new Map<string, Set<SliceSender>>();
  const byNamed = new Map<string, Set<SliceSender>>();
  let { incarnation } = store;
  const { sequence, chainHash } = store.head();
  let place: Place = { sequence, chainHash };

  const host: SenderHost = {
    ...options,
    place: () => place,
    onReferenced(sender, text, isReferenced) {
      if (isReferenced) add(byNamed, text, sender);
      else remove(byNamed, text, sender);
    },
    onClosed: (sender) => remove(bySlice, sender.slice, sender),
  };

  /** Up to here everybody has been told; undefined where somebody has not. */
  let told: number | undefined;
  let timer: Timer | undefined;
  const planProgress = (): void => {
    timer = timers.after(progressIntervalMs, () => {
      timer = undefined;
      endWithIncarnation();
      if (bySlice.size === 0) return;
      if (told !== place.sequence) {
        const sequence = place.sequence;
        let isEverybodyTold = true;
        for (const senders of bySlice.values()) {
          for (const sender of senders) if (!sender.tellProgress()) isEverybodyTold = false;
        }
        told = isEverybodyTold ? sequence : undefined;
      }
      planProgress();
    });
  };
  const endWithIncarnation = (): void => {
    if (store.incarnation === incarnation) return;
    ({ incarnation } = store);
    for (const sender of [...bySlice.values()].flatMap((senders) => [...senders])) {
      sender.endWithIncarnation();
    }
  };

  const noteFor = (slices: readonly string[] | 'every', text: string, event: ObjectEvent): void => {
    if (slices === 'every') {
      for (const senders of bySlice.values())
        for (const sender of senders) sender.note(text, event);
      return;
    }
    for (const slice of slices) {
      for (const sender of bySlice.get(slice) ?? []) sender.note(text, event);
    }
  };
  const watch = store.watch(store.revision, (batch) => {
    place = { sequence: batch.revision, chainHash: batch.chainHash };
    endWithIncarnation();
    if (bySlice.size === 0) return;
    for (const event of batch.events) {
      const { object, previous } = event;
      const text = keyText(object.key);
      const slices = rules.slicesOf(object);
      noteFor(slices, text, event);
      const before = previous === undefined ? [] : rules.slicesOf(previous);
      if (!isSame(slices, before)) noteFor(before, text, event);
      for (const sender of byNamed.get(text) ?? []) sender.note(text, event);
    }
  });

  return {
    serve(stream, parameters, slice) {
      const sender = new SliceSender(stream, host, slice);
      add(bySlice, slice, sender);
      told = undefined;
      if (timer === undefined) planProgress();
      sender.begin(parameters);
    },
    differenceOf(parameters) {
      const follower = followerIn(parameters);
      const reason = differenceOf(options, follower);
      return reason === undefined ? undefined : { reason, epoch: follower.epoch };
    },
    close() {
      watch.close();
      timer?.cancel();
    },
  };
}

function isSame(left: readonly string[] | 'every', right: readonly string[] | 'every'): boolean {
  if (left === 'every' || right === 'every') return left === right;
  return left.length === right.length && left.every((slice, index) => slice === right[index]);
}

function add(map: Map<string, Set<SliceSender>>, name: string, sender: SliceSender): void {
  const senders = map.get(name);
  if (senders === undefined) map.set(name, new Set([sender]));
  else senders.add(sender);
}

function remove(map: Map<string, Set<SliceSender>>, name: string, sender: SliceSender): void {
  const senders = map.get(name);
  if (senders?.delete(sender) === true && senders.size === 0) map.delete(name);
}
