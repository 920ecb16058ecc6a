import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  completionIndexAnnotation,
  conditionOf,
  type Job,
  type JobSpec,
  jobTrackingFinalizer,
  type Pod,
  type PodPhase,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { changesMax, isFinished, planJob } from './plan-job.ts';
import { surplusAnnotation } from './pod-facts.ts';

const bornMs = 1_767_225_600_000;

/** What is stored, and a controller that may die after any of its writes. */
class Model {
  job: Job;
  readonly pods = new Map<string, Pod>();
  /** Pods that ended well, by uid, with their index. */
  readonly succeeded = new Map<string, number | undefined>();
  readonly failed = new Set<string>();
  asked = new Set<string>();
  nowMs = bornMs;
  #made = 0;

  constructor(spec: Partial<JobSpec>) {
    const template = { spec: { restartPolicy: 'Never' as const, containers: [] } };
    this.job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'work', uid: 'job' },
      spec: { parallelism: 3, backoffLimit: 1_000, template, ...spec },
    };
  }

  active(): Pod[] {
    return [...this.pods.values()].filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        status?.phase !== 'Succeeded' &&
        status?.phase !== 'Failed',
    );
  }

  /** One reconcile of which only the first `writesMax` writes happen. */
  reconcile(writesMax: number): void {
    const pods = [...this.pods.values()];
    const now = timestampOf(this.nowMs);
    const plan = planJob({ job: this.job, pods, asked: this.asked, nowMs: this.nowMs, now });
    const writes: (() => void)[] = [
      () => {
        this.job = { ...this.job, status: plan.status };
      },
      ...plan.release.map((pod) => () => this.#change(pod, { finalizers: [] })),
      ...plan.remove.flatMap(({ pod, isSurplus }) => [
        () => {
          if (isSurplus) this.#change(pod, { annotations: { [surplusAnnotation]: 'true' } });
        },
        () => {
          this.asked.add(pod.metadata.uid ?? '');
          this.#change(pod, { deletionTimestamp: now });
        },
      ]),
      ...plan.create.map((index) => () => this.#create(index)),
    ];
    for (const write of writes.slice(0, writesMax)) write();
    // A new controller remembers nothing.
    if (writesMax < writes.length) this.asked = new Set();
    this.#sweep();
  }

  end(position: number, phase: PodPhase): void {
    const running = this.active();
    const pod = running[position % Math.max(1, running.length)];
    if (pod === undefined) return;
    const uid = pod.metadata.uid ?? '';
    const text = pod.metadata.annotations?.[completionIndexAnnotation];
    if (phase === 'Succeeded')
      this.succeeded.set(uid, text === undefined ? undefined : Number(text));
    else this.failed.add(uid);
    this.pods.set(uid, { ...pod, status: { phase } });
  }

  /** Somebody deletes one that runs. */
  kill(position: number): void {
    const running = this.active();
    const pod = running[position % Math.max(1, running.length)];
    if (pod === undefined) return;
    this.failed.add(pod.metadata.uid ?? '');
    this.#change(pod, { deletionTimestamp: timestampOf(this.nowMs) });
  }

  #change(pod: Pod, metadata: Partial<Pod['metadata']>): void {
    const present = this.pods.get(pod.metadata.uid ?? '');
    if (present === undefined) return;
    this.pods.set(pod.metadata.uid ?? '', {
      ...present,
      metadata: {
        ...present.metadata,
        ...metadata,
        annotations: { ...present.metadata.annotations, ...metadata.annotations },
      },
    });
  }

  #create(index: number | undefined): void {
    this.#made += 1;
    const uid = `pod-${this.#made}`;
    this.pods.set(uid, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: uid,
        uid,
        creationTimestamp: timestampOf(this.nowMs),
        finalizers: [jobTrackingFinalizer],
        ...(index === undefined
          ? {}
          : { annotations: { [completionIndexAnnotation]: String(index) } }),
      },
      spec: { containers: [] },
      status: { phase: 'Running' },
    });
  }

  /** What is to go and is held by nobody is gone. */
  #sweep(): void {
    for (const [uid, { metadata }] of this.pods) {
      const isFree = (metadata.finalizers ?? []).length === 0;
      if (metadata.deletionTimestamp !== undefined && isFree) this.pods.delete(uid);
    }
  }
}

const steps = fc.array(
  fc.record({
    what: fc.constantFrom('ok', 'ok', 'ok', 'bad', 'kill', 'nothing'),
    position: fc.nat(10),
    /** After how many writes the controller dies; most of the time it does not. */
    writesMax: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constant(1_000)),
  }),
  { maxLength: 60 },
);

for (const completionMode of ['NonIndexed', 'Indexed'] as const) {
  test(`however often the controller dies, a pod is counted once (${completionMode})`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), steps, (completions, sequence) => {
        const model = new Model({ completions, completionMode });
        const run = (what: string, position: number, writesMax: number): void => {
          if (what === 'ok') model.end(position, 'Succeeded');
          if (what === 'bad') model.end(position, 'Failed');
          if (what === 'kill') model.kill(position);
          model.nowMs += 700_000;
          model.reconcile(writesMax);
          assert.ok(model.active().length <= 3, 'no more at once than asked for');
          assert.ok((model.job.status?.succeeded ?? 0) <= completions);
        };
        for (const { what, position, writesMax } of sequence) run(what, position, writesMax);
        for (let round = 0; round < 60 && !isFinished(model.job); round += 1) run('ok', 0, 1_000);
        const { status } = model.job;
        assert.equal(conditionOf(status?.conditions, 'Complete')?.status, 'True');
        assert.equal(status?.succeeded, completions);
        assert.equal(status.failed, model.failed.size);
        if (completionMode === 'NonIndexed') assert.equal(model.succeeded.size, completions);
        else assert.equal(new Set(model.succeeded.values()).size, completions);
        run('nothing', 0, 1_000);
        const held = [...model.pods.values()].filter(
          ({ metadata }) => (metadata.finalizers ?? []).length > 0,
        );
        assert.equal(held.length, 0, 'nothing is held back afterwards');
      }),
      { numRuns: 400, seed: 3 },
    );
  });
}

test('without completions one success is enough, and what runs beside it may end', () => {
  const model = new Model({ parallelism: 3 });
  model.reconcile(1_000);
  assert.equal(model.active().length, 3);
  model.end(0, 'Succeeded');
  model.reconcile(1_000);
  assert.equal(model.active().length, 2, 'nothing new, nothing ended');
  model.end(0, 'Succeeded');
  model.end(0, 'Succeeded');
  for (let round = 0; round < 4; round += 1) model.reconcile(1_000);
  assert.ok(isFinished(model.job));
  assert.equal(model.job.status?.succeeded, 3);
});

test('sets of indexes are text and back', () => {
  assert.equal(formatIndexes(new Set([7, 1, 2, 4, 5, 6])), '1,2,4-7');
  assert.equal(formatIndexes(new Set()), '');
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(400)), (indexes) => {
      assert.deepEqual(
        parseIndexes(formatIndexes(new Set(indexes)), 401),
        new Set(indexes.sort((a, b) => a - b)),
      );
    }),
    { numRuns: 200, seed: 1 },
  );
});

test('indexes that overlap are taken once, and those that there are not are left out', () => {
  assert.deepEqual(parseIndexes('5-7,1-3,2-6,9,9-8', 7), new Set([1, 2, 3, 4, 5, 6]));
  assert.deepEqual(parseIndexes('0-2147483647,x,-1,3', 9), new Set([3]));
  const beginMs = performance.now();
  const text = Array.from({ length: 100_000 }, () => '0-999999').join();
  assert.equal(parseIndexes(text, 100_000).size, 100_000);
  // Hours where each range is walked through.
  assert.ok(performance.now() - beginMs < 10_000);
});

test('a job of very many pods that have ended is planned, however many it asks for', () => {
  const most = 2_147_483_647;
  for (const completionMode of ['NonIndexed', 'Indexed'] as const) {
    const model = new Model({ completions: most, parallelism: most, completionMode });
    model.reconcile(1_000);
    assert.equal(model.active().length, changesMax);
  }
  const model = new Model({ parallelism: 1, backoffLimit: most });
  model.reconcile(1_000);
  model.end(0, 'Failed');
  const [failed] = model.pods.values();
  assert.ok(failed !== undefined);
  const pods = Array.from({ length: 200_000 }, () => failed);
  const { job, asked, nowMs } = model;
  const now = timestampOf(nowMs);
  assert.equal(planJob({ job, pods, asked, nowMs, now }).againAfterMs, 600_000);
});
