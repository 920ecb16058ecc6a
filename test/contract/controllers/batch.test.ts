import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  conditionOf,
  type CronJob,
  type Job,
  type JobSpec,
  type Pod,
  resources,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

function job(image: string, spec: Partial<JobSpec> = {}, name = 'work'): ApiObject {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: 'default' },
    spec: {
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image }] } },
      ...spec,
    },
  };
}

async function jobNamed(plane: ControlPlane, name = 'work'): Promise<Job> {
  return (await plane.act(plane.client.get(resources.jobs, 'default', name))) as Job;
}

const ended = (plane: ControlPlane, type: 'Complete' | 'Failed', name?: string): Promise<void> =>
  plane.until(`the job is ${type}`, async () => {
    const { status } = await jobNamed(plane, name);
    return conditionOf(status?.conditions, type)?.status === 'True';
  });

const pass = (plane: ControlPlane, durationMs: number): Promise<void> =>
  plane.world.run(plane.world.clock.monotonicMs() + durationMs);

test('a job runs its completions, so many at once, and counts each once over kills of the server', async () => {
  const plane = await openControlPlane(21);
  let most = 0;
  const seen = new Set<string>();
  plane.onPods((pods) => {
    const running = pods.filter(({ status }) => status?.phase !== 'Succeeded');
    most = Math.max(most, running.length);
    for (const { metadata } of pods) seen.add(metadata.uid ?? '');
  });
  await plane.act(
    plane.client.create(resources.jobs, job('ok:3', { completions: 10, parallelism: 3 })),
  );
  // At many different moments of counting.
  for (const durationMs of [1_200, 3_010, 60, 1_007, 2_900, 35, 4_000]) {
    await pass(plane, durationMs);
    await plane.restart();
  }
  await ended(plane, 'Complete');
  const { status } = await jobNamed(plane);
  assert.equal(status?.succeeded, 10);
  assert.equal(status.failed, 0);
  assert.equal(status.active, 0);
  assert.deepEqual(status.uncountedTerminatedPods, { succeeded: [], failed: [] });
  assert.ok(status.completionTime !== undefined);
  assert.equal(seen.size, 10, 'as many pods as completions');
  assert.equal(most, 3);
  const pods = (await plane.list(resources.pods)) as Pod[];
  await plane.until('no finalizer is left', async () => {
    const left = (await plane.list(resources.pods)) as Pod[];
    return left.every(({ metadata }) => metadata.finalizers === undefined);
  });
  const name = pods[0]?.metadata.labels?.['job-name'];
  assert.equal(name, 'work');
  await plane.close();
});

test('an indexed job finishes every index once, and a deleted pod is made again', async () => {
  const plane = await openControlPlane(22);
  await plane.act(
    plane.client.create(
      resources.jobs,
      job('ok:4', { completions: 5, parallelism: 2, completionMode: 'Indexed' }),
    ),
  );
  await pass(plane, 2_000);
  const [first] = (await plane.list(resources.pods)) as Pod[];
  const env = first?.spec.containers[0]?.env ?? [];
  assert.deepEqual(env, [{ name: 'JOB_COMPLETION_INDEX', value: '0' }]);
  assert.match(first?.metadata.name ?? '', /^work-0-/u);
  await plane.act(plane.client.delete(resources.pods, 'default', first?.metadata.name ?? ''));
  await plane.restart();
  await ended(plane, 'Complete');
  const { status } = await jobNamed(plane);
  assert.equal(status?.completedIndexes, '0-4');
  assert.equal(status.succeeded, 5);
  assert.equal(status.failed, 1, 'the deleted one has failed');
  await plane.close();
});

test('failures are tried again ever later, and too many end the job', async () => {
  const plane = await openControlPlane(23);
  await plane.act(plane.client.create(resources.jobs, job('bad:1', { backoffLimit: 2 })));
  await ended(plane, 'Failed');
  const { status } = await jobNamed(plane);
  const failed = conditionOf(status?.conditions, 'Failed');
  assert.equal(failed?.reason, 'BackoffLimitExceeded');
  assert.equal(status?.failed, 3);
  const made = ((await plane.list(resources.pods)) as Pod[])
    .map(({ metadata }) => metadata.creationTimestamp ?? '')
    .sort();
  assert.equal(made.length, 3);
  const tookMs = plane.world.clock.monotonicMs();
  assert.ok(tookMs > 30_000 && tookMs < 45_000, `10 s and 20 s of waiting: ${tookMs}`);
  await plane.close();
});

test('a deadline ends what runs; a suspended job runs nothing and its time does not count', async () => {
  const plane = await openControlPlane(24);
  const spec = { activeDeadlineSeconds: 20, parallelism: 2, completions: 2 };
  await plane.act(plane.client.create(resources.jobs, job('ok:1000', { ...spec, suspend: true })));
  await pass(plane, 30_000);
  assert.equal((await plane.list(resources.pods)).length, 0);
  const patch = (suspend: boolean): Promise<ApiObject> =>
    plane.act(plane.client.mergePatch(resources.jobs, 'default', 'work', { spec: { suspend } }));
  await patch(false);
  await plane.until('it runs', async () => (await jobNamed(plane)).status?.ready === 2);
  await patch(true);
  await plane.until('it stands', async () => (await plane.list(resources.pods)).length === 0);
  const suspended = (await jobNamed(plane)).status;
  assert.equal(conditionOf(suspended?.conditions, 'Suspended')?.status, 'True');
  assert.equal(suspended?.failed, 0, 'what was suspended has not failed');
  await pass(plane, 30_000);
  await patch(false);
  await ended(plane, 'Failed');
  const { status } = await jobNamed(plane);
  assert.equal(conditionOf(status?.conditions, 'Failed')?.reason, 'DeadlineExceeded');
  assert.equal(status?.failed, 2);
  await plane.until('the pods go', async () => (await plane.list(resources.pods)).length === 0);
  await plane.close();
});

test('a job with a time to live goes with its pods; one that is deleted takes them along', async () => {
  const plane = await openControlPlane(25);
  await plane.act(
    plane.client.create(resources.jobs, job('ok:1', { ttlSecondsAfterFinished: 5 }, 'short')),
  );
  await plane.act(plane.client.create(resources.jobs, job('ok:1000', {}, 'long')));
  await ended(plane, 'Complete', 'short');
  await plane.until('the first goes', async () => (await plane.list(resources.jobs)).length === 1);
  await plane.until('and its pod', async () => (await plane.list(resources.pods)).length === 1);
  await plane.act(plane.client.delete(resources.jobs, 'default', 'long'));
  await plane.until('the second', async () => (await plane.list(resources.pods)).length === 0);
  await plane.close();
});

function cron(spec: object, image = 'ok:2'): ApiObject {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'tick', namespace: 'default' },
    spec: { schedule: '* * * * *', jobTemplate: { spec: job(image).spec ?? {} }, ...spec },
  };
}

test('a cron job makes one job a minute, over kills of the server and jumps of its clock', async () => {
  const plane = await openControlPlane(26);
  const { world } = plane;
  await plane.act(
    plane.client.create(resources.cronJobs, cron({ successfulJobsHistoryLimit: 100 })),
  );
  const made = new Map<string, string>();
  const look = async (): Promise<void> => {
    for (const { metadata } of await plane.list(resources.jobs)) {
      const uid = made.get(metadata.name);
      assert.ok(uid === undefined || uid === metadata.uid, 'never two of one name');
      made.set(metadata.name, metadata.uid ?? '');
    }
  };
  const minute = (): number => Math.floor(world.clock.wallMs() / 60_000);
  const startMinute = minute();
  for (let count = 0; count < 6; count += 1) {
    await pass(plane, 61_500);
    await look();
    await plane.restart();
  }
  assert.equal(made.size, minute() - startMinute, 'one for each');
  const host = world.host('server');
  host.setWallOffset(-10 * 60_000);
  await pass(plane, 5 * 60_000);
  await look();
  assert.equal(made.size, 6, 'none for minutes that have been');
  host.setWallOffset(60 * 60_000);
  await pass(plane, 61_000);
  await look();
  const caughtUp = [...made.keys()].length;
  assert.ok([7, 8].includes(caughtUp), 'only the newest of those that were missed');
  await pass(plane, 60_000);
  await look();
  assert.equal(made.size, caughtUp + 1);
  const events = await plane.list(resources.events);
  const missed = events.find((event) => event['reason'] === 'MissedSchedule');
  assert.match(String(missed?.['message']), /^\d+ runs were missed/u);
  host.setWallOffset(0);
  await pass(plane, 5 * 60_000);
  await look();
  assert.equal(made.size, caughtUp + 1, 'the clock is behind what was acted on');
  const tick = (await plane.list(resources.cronJobs))[0] as CronJob;
  assert.ok(tick.status?.lastSuccessfulTime !== undefined);
  await plane.close();
});

test('Forbid leaves out what would run beside another, Replace ends the earlier one', async () => {
  const plane = await openControlPlane(27);
  const replaced = cron({ concurrencyPolicy: 'Replace' }, 'ok:1000');
  replaced.metadata.name = 'replace';
  await plane.act(
    plane.client.create(resources.cronJobs, cron({ concurrencyPolicy: 'Forbid' }, 'ok:1000')),
  );
  await plane.act(plane.client.create(resources.cronJobs, replaced));
  await pass(plane, 3 * 60_000 + 30_000);
  const names = (await plane.list(resources.jobs)).map(({ metadata }) => metadata.name);
  const of = (prefix: string): string[] => names.filter((name) => name.startsWith(prefix));
  assert.equal(of('tick-').length, 1);
  assert.equal(of('replace-').length, 1);
  const [tick, replace] = (await plane.list(resources.cronJobs)) as CronJob[];
  assert.deepEqual(
    [tick, replace].map((one) => one?.status?.active?.length),
    [1, 1],
  );
  const reasons = (await plane.list(resources.events)).map((event) => event['reason']);
  assert.ok(reasons.includes('JobAlreadyActive'));
  assert.ok(reasons.includes('SawReplacedJob'));
  const newest = Math.floor(plane.world.clock.wallMs() / 60_000);
  assert.deepEqual(of('replace-'), [`replace-${newest}`]);
  await plane.close();
});

test('a job whose pods have an account is counted to its end, and its pods go with it', async () => {
  const plane = await openControlPlane(28);
  await plane.act(
    plane.client.create(resources.serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'worker', namespace: 'default' },
    }),
  );
  const containers = [{ name: 'main', image: 'ok:1' }];
  const spec = { serviceAccountName: 'worker', restartPolicy: 'Never' as const, containers };
  await plane.act(plane.client.create(resources.jobs, job('ok:1', { template: { spec } })));
  await ended(plane, 'Complete');
  const background = { propagationPolicy: 'Background' as const };
  await plane.act(plane.client.delete(resources.jobs, 'default', 'work', background));
  await plane.until('the pods are gone', async () => {
    return (await plane.list(resources.pods)).length === 0;
  });
  await plane.close();
});
