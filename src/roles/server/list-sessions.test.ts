import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusError } from '#platform/api/mod.ts';
import type { Clock } from '#platform/io/mod.ts';
import { createNodeRandom } from '#platform/io/node/mod.ts';
import type { Holder } from './authorship.ts';
import { listSessionAgeMaxMs, listSessionsMax, listSessionsOfUserMax } from './limits.ts';
import { createListSessions } from './list-sessions.ts';

const session = { fingerprint: 'f', resourceVersion: '1', items: [] };

function sessions() {
  let nowMs = 0;
  const clock: Clock = { monotonicMs: () => nowMs, bootMs: () => nowMs, wallMs: () => nowMs };
  const lists = createListSessions(clock, createNodeRandom());
  return {
    passTime: (ms: number): void => void (nowMs += ms),
    begin: (holder: Holder, count: number): string[] =>
      Array.from({ length: count }, () => lists.keep(holder, session, 0, undefined)),
    isHeld: (text: string): boolean => {
      try {
        return lists.resume(text, 'f').session === session;
      } catch (error) {
        assert.ok(error instanceof StatusError && error.httpStatus === 410);
        return false;
      }
    },
  };
}

test('where all lists are too many, whoever holds most loses the oldest', () => {
  const { begin, isHeld } = sessions();
  const ofOne = begin('one', 1);
  const full = ['a', 'b', 'c'].map((name) => begin(name, listSessionsOfUserMax));
  const ofFew = begin('few', listSessionsMax - 3 * listSessionsOfUserMax - 1);
  const all = [ofOne, ...full, ofFew].flat();
  assert.deepEqual([all.length, all.every(isHeld)], [listSessionsMax, true]);
  const more = begin('more', 1);
  assert.deepEqual(
    all.filter((text) => !isHeld(text)),
    full[0]?.slice(0, 1),
  );
  assert.ok(more.every(isHeld));
});

test('parts of the server have no share, and lose none to others', () => {
  const { begin, isHeld } = sessions();
  const own = begin(undefined, listSessionsMax);
  const [ofOne = ''] = begin('one', 1);
  assert.deepEqual([own.every(isHeld), isHeld(ofOne)], [true, false]);
  const [newest = ''] = begin(undefined, 1);
  assert.deepEqual([isHeld(newest), own.filter((text) => !isHeld(text))], [true, own.slice(0, 1)]);
});

test('a list that goes on keeps its place, and none is held for longer than it may be', () => {
  const { begin, isHeld, passTime } = sessions();
  const [old = ''] = begin('one', 1);
  passTime(listSessionAgeMaxMs);
  const [young = ''] = begin('one', 1);
  assert.deepEqual([isHeld(old), isHeld(young)], [true, true]);
  passTime(1);
  assert.deepEqual([isHeld(old), isHeld(young)], [false, true]);
});
