import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { timestampOf } from '#platform/io/mod.ts';
import { wallMsOf } from '../age-text.ts';
import { nextRunMs, offsetsOf, parseCronSchedule, timeZoneProblem } from './cron-schedule.ts';

function runs(text: string, after: string, count: number, timeZone?: string): string[] {
  const parsed = parseCronSchedule(text);
  assert.ok('schedule' in parsed, 'problem' in parsed ? parsed.problem : '');
  const offsetAt = offsetsOf(timeZone);
  const found: string[] = [];
  let atMs = wallMsOf(after);
  while (found.length < count && atMs !== undefined) {
    atMs = nextRunMs(parsed.schedule, offsetAt, atMs);
    if (atMs !== undefined) found.push(timestampOf(atMs).replace(':00Z', 'Z'));
  }
  return found;
}

test('fields are numbers, names, lists, ranges and steps, or one word for all five', () => {
  const after = '2026-01-01T00:00:00Z';
  assert.deepEqual(runs('*/20 9-10 * * *', after, 7), [
    '2026-01-01T09:00Z',
    '2026-01-01T09:20Z',
    '2026-01-01T09:40Z',
    '2026-01-01T10:00Z',
    '2026-01-01T10:20Z',
    '2026-01-01T10:40Z',
    '2026-01-02T09:00Z',
  ]);
  assert.deepEqual(runs('5,35 0 1 Jan,jul ?', after, 4), [
    '2026-01-01T00:05Z',
    '2026-01-01T00:35Z',
    '2026-07-01T00:05Z',
    '2026-07-01T00:35Z',
  ]);
  assert.deepEqual(runs('0 12 * * mon-wed', after, 4), [
    '2026-01-05T12:00Z',
    '2026-01-06T12:00Z',
    '2026-01-07T12:00Z',
    '2026-01-12T12:00Z',
  ]);
  assert.deepEqual(runs('@hourly', after, 2), ['2026-01-01T01:00Z', '2026-01-01T02:00Z']);
  assert.deepEqual(runs('0 0 * * 7', after, 1), ['2026-01-04T00:00Z']);
  assert.deepEqual(runs('10/25 3 * * *', after, 2), ['2026-01-01T03:10Z', '2026-01-01T03:35Z']);
  assert.deepEqual(runs('0 0 29 2 *', after, 2), ['2028-02-29T00:00Z', '2032-02-29T00:00Z']);
  assert.deepEqual(runs('0 0 31 2 *', after, 1), []);
});

test('where both days are restricted either suffices', () => {
  assert.deepEqual(runs('0 0 13 * fri', '2026-01-01T12:00:00Z', 4), [
    '2026-01-02T00:00Z',
    '2026-01-09T00:00Z',
    '2026-01-13T00:00Z',
    '2026-01-16T00:00Z',
  ]);
  assert.deepEqual(runs('0 0 */10 * mon', '2026-06-01T12:00:00Z', 1), ['2026-08-31T00:00Z']);
});

test('a schedule that cannot be is refused with what would be right', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['* * * *', /five fields/],
    ['60 * * * *', /numbers from 0 to 59/],
    ['* 5-3 * * *', /goes upwards/],
    ['*/0 * * * *', /step of 0/],
    ['* * * foo *', /no month/],
    ['@reboot', /not one of @yearly/],
    ['TZ=Europe/Berlin 0 * * * *', /timeZone/],
    ['1 2 3 4 5 6', /five fields/],
    ['1,,2 * * * *', /no minute/],
  ];
  for (const [text, expected] of refused) {
    const parsed = parseCronSchedule(text);
    assert.match('problem' in parsed ? parsed.problem : 'accepted', expected, text);
  }
  assert.equal(timeZoneProblem('Europe/Berlin'), undefined);
  assert.match(timeZoneProblem('Mars/Olympus') ?? '', /IANA/);
  assert.match(timeZoneProblem('Local') ?? '', /must not be/);
});

test('local times follow the clocks of the place, each once', () => {
  const berlin = 'Europe/Berlin';
  assert.deepEqual(runs('30 8 * * *', '2026-03-28T00:00:00Z', 2, berlin), [
    '2026-03-28T07:30Z',
    '2026-03-29T06:30Z',
  ]);
  // 02:30 does not exist on the 29th.
  assert.deepEqual(runs('30 2 * * *', '2026-03-28T00:00:00Z', 2, berlin), [
    '2026-03-28T01:30Z',
    '2026-03-30T00:30Z',
  ]);
  // 02:30 comes twice on 25 October.
  assert.deepEqual(runs('30 2 * * *', '2026-10-24T12:00:00Z', 2, berlin), [
    '2026-10-25T00:30Z',
    '2026-10-26T01:30Z',
  ]);
  // What runs every hour does so in both of them.
  assert.deepEqual(runs('30 * * * *', '2026-10-25T00:00:00Z', 3, berlin), [
    '2026-10-25T00:30Z',
    '2026-10-25T01:30Z',
    '2026-10-25T02:30Z',
  ]);
  assert.deepEqual(runs('0 0 * * *', '2026-01-01T00:00:00Z', 1, 'Asia/Kathmandu'), [
    '2026-01-01T18:15Z',
  ]);
});

test('the next run is later, fits, and nothing that fits lies between', () => {
  const field = (most: number): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: 1, max: most }).map(String),
      fc.integer({ min: 2, max: most }).map((step) => `*/${step}`),
    );
  fc.assert(
    fc.property(
      fc.tuple(field(59), field(23), field(28), field(12), field(6)),
      fc.integer({ min: 0, max: 40 * 365 * 24 * 60 }),
      (fields, minute) => {
        const parsed = parseCronSchedule(fields.join(' '));
        assert.ok('schedule' in parsed);
        const utc = offsetsOf(undefined);
        const afterMs = minute * 60_000;
        const foundMs = nextRunMs(parsed.schedule, utc, afterMs);
        assert.ok(foundMs !== undefined && foundMs > afterMs && foundMs % 60_000 === 0);
        const halfMs = afterMs + Math.floor((foundMs - afterMs) / 120_000) * 60_000;
        assert.equal(nextRunMs(parsed.schedule, utc, halfMs), foundMs);
      },
    ),
    { numRuns: 300, seed: 5 },
  );
});
