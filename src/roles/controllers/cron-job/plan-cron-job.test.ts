import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type CronSchedule, nextRunMs, offsetsOf, parseCronSchedule } from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import { type CronPlan, missedMax, planCronJob } from './plan-cron-job.ts';

const minuteMs = 60_000;

function scheduleOf(text: string): CronSchedule {
  const parsed = parseCronSchedule(text);
  assert.ok('schedule' in parsed);
  return parsed.schedule;
}

interface Missed {
  readonly bornMs: number;
  readonly nowMs: number;
  readonly timeZone?: string;
}

/** Of a cron job that has made nothing since it was born. */
function planMissed(schedule: string, { bornMs, nowMs, timeZone }: Missed): CronPlan {
  const template = { spec: { restartPolicy: 'Never' as const, containers: [] } };
  return planCronJob({
    cronJob: {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'tick', creationTimestamp: timestampOf(bornMs) },
      spec: {
        schedule,
        startingDeadlineSeconds: 2_147_483_647,
        jobTemplate: { spec: { template } },
      },
    },
    schedule: scheduleOf(schedule),
    offsetAt: offsetsOf(timeZone),
    jobs: [],
    nowMs,
  });
}

test('of half a million minutes that were missed the newest is found at once', () => {
  const bornMs = Date.UTC(1970, 0, 1);
  const nowMs = Date.UTC(2026, 11, 15);
  const beginMs = performance.now();
  const { runAtMs, missed } = planMissed('* 1-23 * 1-10 *', {
    bornMs,
    nowMs,
    timeZone: 'Europe/Berlin',
  });
  assert.equal(timestampOf(runAtMs ?? 0), '2026-10-31T22:59:00Z');
  assert.equal(missed, missedMax);
  const never = planMissed('0 0 31 2 *', { bornMs, nowMs, timeZone: 'Europe/Berlin' });
  assert.deepEqual([never.runAtMs, never.againAfterMs], [undefined, undefined]);
  const leap = planMissed('59 23 29 2 *', { bornMs, nowMs });
  assert.equal(timestampOf(leap.runAtMs ?? 0), '2024-02-29T23:59:00Z');
  // Six seconds and more where it looks at each.
  assert.ok(performance.now() - beginMs < 3_000);
});

test('the newest run is the last of those that come one after the other', () => {
  const field = (least: number, most: number): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: least, max: most }).map(String),
      fc.constantFrom('*/7', '*/2'),
    );
  const parameters = fc.record({
    minute: field(0, 59),
    hour: field(0, 23),
    lateMinutes: fc.integer({ min: 0, max: 60 * 24 * 4 }),
    timeZone: fc.constantFrom('Etc/UTC', 'Europe/Berlin'),
  });
  fc.assert(
    fc.property(parameters, ({ minute, hour, lateMinutes, timeZone }) => {
      const text = `${minute} ${hour} * * *`;
      const bornMs = Date.UTC(2026, 9, 23, 0, 0, 30);
      const nowMs = bornMs + lateMinutes * minuteMs;
      const [schedule, offsetAt] = [scheduleOf(text), offsetsOf(timeZone)];
      let newestMs: number | undefined;
      for (let atMs: number | undefined = bornMs; ;) {
        atMs = nextRunMs(schedule, offsetAt, atMs);
        if (atMs === undefined || atMs > nowMs) break;
        newestMs = atMs;
      }
      assert.equal(planMissed(text, { bornMs, nowMs, timeZone }).runAtMs, newestMs);
    }),
    { numRuns: 60, seed: 3 },
  );
});
