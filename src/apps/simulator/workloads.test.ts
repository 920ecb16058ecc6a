import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ApiObject,
  type DaemonSet,
  type Job,
  type Pod,
  resources,
} from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { imageName } from './constants.ts';
import { Fleet } from './fleet.ts';
import { ensureCreated } from './operator.ts';
import { serviceWorkload, type SimWorkload, shimProgram } from './shim-program.ts';

const limitMs = 3_600_000;
const minuteMs = 60_000;
const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A task: says so and ends well a while after its start. */
const task: SimWorkload = (process) => {
  void process.print('stdout', 'at work\n');
  process.timers.after(1_000 + process.random.unit() * 4_000, () => process.exit(0));
};

const container = { name: 'main', image: `${imageName}:latest` };

const daemons: ApiObject = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'watch', namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: 'watch' } },
    template: { metadata: { labels: { app: 'watch' } }, spec: { containers: [container] } },
  },
};

const ticks: ApiObject = {
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name: 'tick', namespace: 'default' },
  spec: {
    schedule: '* * * * *',
    successfulJobsHistoryLimit: 100,
    jobTemplate: {
      spec: {
        completions: 2,
        parallelism: 2,
        template: {
          spec: { restartPolicy: 'Never', containers: [{ ...container, args: ['task'] }] },
        },
      },
    },
  },
};

for (const seed of [31, 32]) {
  test(`daemons stay one a node and jobs come one a minute, over the server's deaths (seed ${seed})`, async () => {
    const world = createWorld({ seed, drainMicrotasks });
    const fleet = new Fleet(world, 3);
    world.programs.unshift(
      shimProgram((launch) => (launch.command.at(-1) === 'task' ? task : serviceWorkload)),
    );
    const list = async <Kind>(resource: (typeof resources)['pods' | 'jobs']): Promise<Kind[]> => {
      const { items } = await fleet.operator.persist('a list', (client) => client.list(resource));
      return items as unknown as Kind[];
    };
    const run = async (): Promise<void> => {
      await fleet.found();
      await ensureCreated(fleet.operator, resources.daemonSets, daemons);
      await ensureCreated(fleet.operator, resources.cronJobs, ticks);
      const first = Math.floor(world.clock.wallMs() / minuteMs);
      const random = world.random('deaths');
      for (let round = 0; round < 12; round += 1) {
        await sleep(world.timers, random.between(5_000, 50_000));
        fleet.stopServer(round % 3 === 2 ? 'power-cut' : 'crash');
        await sleep(world.timers, random.between(100, 3_000));
        fleet.startServer();
        await fleet.untilTrue('the server is back', () => fleet.server !== undefined);
      }
      // Into the middle of a minute, when what began with it has come to its end.
      const nowMs = world.clock.wallMs();
      await sleep(world.timers, minuteMs - (nowMs % minuteMs) + 40_000);
      const jobs = await list<Job>(resources.jobs);
      const minutes = jobs.map(({ metadata }) => Number(metadata.name.slice('tick-'.length)));
      const last = Math.floor(world.clock.wallMs() / minuteMs);
      const wanted = Array.from({ length: last - first }, (_, index) => first + 1 + index);
      assert.deepEqual(
        minutes.toSorted((left, right) => left - right),
        wanted,
      );
      for (const { metadata, status } of jobs) {
        assert.deepEqual([status?.succeeded, status?.failed], [2, 0], metadata.name);
      }
      const pods = await list<Pod>(resources.pods);
      const tasks = pods.filter(({ metadata }) => metadata.labels?.['job-name'] !== undefined);
      assert.equal(tasks.length, 2 * jobs.length, 'no pod was made for nothing');
      const watching = pods.filter(({ metadata }) => metadata.labels?.['app'] === 'watch');
      assert.deepEqual(
        new Set(watching.map(({ spec }) => spec.nodeName)),
        new Set(fleet.nodes.map(({ name }) => name)),
      );
      assert.equal(watching.length, 3);
      const set = await fleet.operator.persist('a look', (client) =>
        client.get(resources.daemonSets, 'default', 'watch'),
      );
      assert.equal((set as DaemonSet).status?.numberAvailable, 3);
    };
    await world.settle(Promise.race([run(), fleet.failed]), limitMs);
  });
}
