// Jobs and cron jobs as somebody uses them: the examples, applied with kubectl, with
// the server killed in between. One fleet for the whole file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';

interface Job {
  metadata: { name: string; ownerReferences?: { name: string }[] };
  status: { succeeded?: number; failed?: number; completedIndexes?: string };
}

let fleet: TestFleet;

before(async () => {
  fleet = await startFleet(['--nodes', '2']);
});

after(async () => {
  await fleet.remove();
});

function manifestOf(name: string): string {
  return readFileSync(join(projectFolder, 'examples', `${name}.yaml`), 'utf8');
}

async function killServer(): Promise<void> {
  const { status, stderr } = await fleet.selvage(['lab', 'kill', 'server']);
  assert.equal(status, 0, stderr);
  assert.equal((await fleet.selvage(['lab', 'start', 'server'])).status, 0);
}

test('an indexed job does each piece of its work once, over kills of the server', async () => {
  await fleet.kubectl.ok(['apply', '-f', '-'], manifestOf('indexed-job'));
  await killServer();
  await wait(700);
  await killServer();
  await fleet.kubectl.ok(['wait', '--for=condition=complete', 'job/stocktaking', '--timeout=60s']);
  const { status } = await fleet.kubectl.json<Job>(['get', 'job', 'stocktaking']);
  assert.deepEqual([status.succeeded, status.completedIndexes, status.failed], [6, '0-5', 0]);
  const said = await fleet.kubectl.ok([
    ...['logs', '-l', 'job-name=stocktaking', '--tail=-1', '--max-log-requests=10'],
  ]);
  const lines = said.trim().split('\n').toSorted();
  assert.deepEqual(
    lines,
    [0, 1, 2, 3, 4, 5].map((shelf) => `shelf ${shelf}: ${shelf * 7 + 3} lamps`),
  );
  const table = await fleet.kubectl.ok(['get', 'jobs']);
  assert.match(table, /stocktaking +Complete +6\/6/u);
  await fleet.kubectl.ok(['delete', '-f', '-'], manifestOf('indexed-job'));
  await eventually('its pods go with it', 30_000, async () => {
    return (await fleet.kubectl.ok(['get', 'pods', '-o', 'name'])) === '' ? true : undefined;
  });
});

test('a job that keeps failing ends as Failed and says why', async () => {
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'hopeless' },
    spec: {
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          containers: [{ name: 'main', image: 'edge-service-image:latest', command: ['no.mjs'] }],
        },
      },
    },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(job));
  await fleet.kubectl.ok(['wait', '--for=condition=failed', 'job/hopeless', '--timeout=60s']);
  const described = await fleet.kubectl.ok(['describe', 'job', 'hopeless']);
  assert.match(described, /BackoffLimitExceeded/u);
  assert.match(described, /0 Active .*1 Failed/u);
  await fleet.kubectl.ok(['delete', 'job', 'hopeless']);
});

test('a cron job makes one job a minute, also around a kill of the server', async () => {
  await fleet.kubectl.ok(['apply', '-f', '-'], manifestOf('cron-report'));
  const jobs = async (): Promise<Job[]> =>
    (await fleet.kubectl.json<{ items: Job[] }>(['get', 'jobs'])).items.filter(({ metadata }) =>
      metadata.name.startsWith('report-'),
    );
  await eventually('the first run', 75_000, async () => {
    return (await jobs()).some(({ status }) => status.succeeded === 1) ? true : undefined;
  });
  await killServer();
  const [first] = await jobs();
  await eventually('the next run', 75_000, async () => {
    const done = (await jobs()).filter(({ status }) => status.succeeded === 1);
    return done.length === 2 ? true : undefined;
  });
  const names = (await jobs()).map(({ metadata }) => metadata.name);
  assert.equal(new Set(names).size, 2);
  const minuteOf = (name = ''): number => Number(name.slice('report-'.length));
  const firstMinute = minuteOf(first?.metadata.name);
  assert.deepEqual(new Set(names.map(minuteOf)), new Set([firstMinute, firstMinute + 1]));
  const bad = manifestOf('cron-report').replace("'* * * * *'", "'* * *'");
  const { status, stderr } = await fleet.kubectl.attempt(['apply', '-f', '-'], bad);
  assert.notEqual(status, 0);
  assert.match(stderr, /spec\.schedule: .*five fields/u);
  await fleet.kubectl.ok(['delete', '-f', '-'], manifestOf('cron-report'));
  await eventually('all of it goes', 30_000, async () => {
    const left = await fleet.kubectl.ok(['get', 'cronjobs,jobs,pods', '-o', 'name']);
    return left.trim() === '' ? true : undefined;
  });
});
