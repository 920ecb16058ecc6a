import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pullNews, type PullTold } from './pull-news.ts';

const mebibyte = 1024 * 1024;
const totalBytes = 16 * mebibyte;

/** What is told of a pull that is looked at every second, with so much there at each second. */
function toldOf(receivedAt: (second: number) => number, seconds: number): string[] {
  const told: string[] = [];
  let before: PullTold | undefined;
  for (let second = 0; second <= seconds; second += 1) {
    const receivedBytes = receivedAt(second);
    const progress = second === 0 ? undefined : { receivedBytes, totalBytes };
    const news = pullNews(before, 'app:1', progress, 5_000 + second * 1_000);
    if (news === undefined) continue;
    before = news.told;
    told.push(`${second} ${news.message}`);
  }
  return told;
}

test('a pull is told when it begins and every ten seconds with how far it is', () => {
  assert.deepEqual(
    toldOf((second) => second * 0.3 * mebibyte, 25),
    [
      '0 Pulling image "app:1"',
      '10 Pulling image "app:1": 3.0 of 16.0 MiB, 18 %',
      '20 Pulling image "app:1": 6.0 of 16.0 MiB, 37 %',
    ],
  );
});

test('nothing is told of a pull that is not known to have got on', () => {
  const stalls = (second: number): number => Math.min(second, 7) * mebibyte;
  assert.deepEqual(toldOf(stalls, 60), [
    '0 Pulling image "app:1"',
    '10 Pulling image "app:1": 7.0 of 16.0 MiB, 43 %',
  ]);
  const begun = pullNews(undefined, 'app:1', undefined, 0)?.told;
  assert.equal(pullNews(begun, 'app:1', undefined, 60_000), undefined);
  // It goes on after a while: told at once.
  const resumes = (second: number): number => (second < 34 ? 0 : totalBytes);
  assert.deepEqual(toldOf(resumes, 60), [
    '0 Pulling image "app:1"',
    '34 Pulling image "app:1": 16.0 of 16.0 MiB, 100 %',
  ]);
});

test('a pull without end is told of thirty times, and no more', () => {
  const told = toldOf((second) => second, 1_000);
  assert.equal(told.length, 31);
  assert.match(told.at(-1) ?? '', /^300 /);
});
