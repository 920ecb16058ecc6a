/**
 * Makes one pod what the hub wants it to be. Level-triggered: a pass looks at
 * what is wanted and at what runs, and does what is missing; what caused it does
 * not matter, and running it once more changes nothing.
 *
 * Invariants:
 * 1. Passes of one pod never overlap; a nudge during a pass means another one after it.
 * 2. Nothing is stopped because it is missing somewhere: only `gone`, which the
 *    supervisor says when the owner's record said so, a deletion, or the pod's
 *    own wish to stop when the hub was not heard of for so long.
 * 3. Of a pod that the hub has given up nothing starts; what runs goes on, and
 *    the report says whether it does.
 */
import { errorText } from '#base/mod.ts';
import type { PodReport } from '#platform/api/mod.ts';
import type { Clock, Disk, Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { Outbox } from '#platform/sync/mod.ts';
import type { RuntimeSet } from '../runtimes/runtime-set.ts';
import type { ContainerRun } from '../runtimes/types.ts';
import { ContainerLife } from './container-life.ts';
import { graceMsDefault, type DesiredPod } from './desired-pod.ts';
import { PodHandle } from './pod-handle.ts';
import type { PodRecord } from './pod-record.ts';
import { podStatusOf, type ContainerView } from './pod-status.ts';
import type { Preparer } from './prepare.ts';

export interface WorkerDependencies {
  readonly disk: Disk;
  readonly outbox: Outbox;
  readonly runtime: RuntimeSet;
  readonly preparer: Preparer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** What the supervisor knows and the worker asks at every pass. */
export interface WorkerContext {
  readonly hostAddress: string;
  /** `gone`: the owner said that it is no more. Undefined: nobody knows it any more. */
  desired(uid: string): DesiredPod | 'gone' | undefined;
  /** Undefined while no address is free. Kept from the first call on. */
  address(uid: string): string | undefined;
  /** Since when the hub is silent, and for how long there is a link; 0 for none. */
  contact(): { readonly silentMs: number; readonly linkedForMs: number };
  /** Everything of the pod is gone. */
  finished(uid: string): void;
  /** Every pod's first report is put even where an earlier agent put the same one. */
  readonly repeatsReports: boolean;
}

const retryAfterMs = 5_000;
/** How often the deadline of a pod that stops in a cut is moved on, in the time that it gives. */
const renewalsPerDeadline = 4;
/** A link of this age has brought what changed while there was none. */
const linkSettledMs = 1_000;

export class PodWorker {
  readonly #dependencies: WorkerDependencies;
  readonly #context: WorkerContext;
  readonly #uid: string;
  readonly #pod: PodHandle;
  /** By container; what they remember between passes may be lost. */
  readonly #lives = new Map<string, ContainerLife>();
  #lastDesired: DesiredPod | undefined;
  /** Stopped for want of the hub; starts again when it is back. */
  #isCutOff = false;
  #mustRepeatReport: boolean;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  #isNudged = false;
  #isClosed = false;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;

  constructor(
    dependencies: WorkerDependencies,
    context: WorkerContext,
    uid: string,
    record: PodRecord | undefined,
  ) {
    this.#dependencies = dependencies;
    this.#context = context;
    this.#uid = uid;
    this.#pod = new PodHandle(dependencies, uid, record, (delayMs) => this.#lookAgainIn(delayMs));
    this.#mustRepeatReport = context.repeatsReports;
  }

  /** Something may have changed: look again. */
  nudge(): void {
    this.#isNudged = true;
    if (!this.#isRunning && !this.#isClosed) this.#running = this.#run();
  }

  /** Resolves when what it was just doing is done: nothing starts after that. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    return this.#running;
  }

  /** After `close`: that run was ended by the agent, which is no failure of the workload. */
  async noteStopped(stopped: ContainerRun): Promise<void> {
    await this.#life(stopped.container).noteStopped();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isNudged && !this.#isClosed) {
      this.#isNudged = false;
      try {
        await this.#pass();
      } catch (error) {
        const { logger } = this.#dependencies;
        logger.log('error', 'a pod could not be attended to', {
          podUid: this.#uid,
          error: errorText(error),
        });
        this.#lookAgainIn(retryAfterMs);
      }
    }
    this.#isRunning = false;
  }

  #lookAgainIn(delayMs: number): void {
    const { clock, timers } = this.#dependencies;
    const atMs = clock.monotonicMs() + delayMs;
    if (this.#isClosed || atMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = timers.after(Math.max(0, delayMs), () => {
      this.#timerAtMs = Infinity;
      this.nudge();
    });
  }

  #life(name: string): ContainerLife {
    let life = this.#lives.get(name);
    if (life === undefined) {
      life = new ContainerLife(this.#dependencies, this.#pod, name);
      this.#lives.set(name, life);
    }
    return life;
  }

  async #pass(): Promise<void> {
    const desired = this.#context.desired(this.#uid);
    if (desired === undefined) return;
    if (desired !== 'gone') this.#lastDesired = desired;
    if (desired === 'gone' || desired.isDeleting) {
      await this.#end(desired === 'gone' ? undefined : desired);
      return;
    }
    if (desired.lossId !== undefined) {
      if (this.#pod.knownRecord === undefined) {
        await this.#answerNeverStarted(desired, desired.lossId);
        return;
      }
      await this.#obeysCut(desired);
      await this.#report(desired);
      return;
    }
    if (!(await this.#takeUp(desired))) return;
    if (await this.#obeysCut(desired)) {
      await this.#report(desired);
      return;
    }
    await this.#renewDeadlines(desired);
    for (const container of desired.containers) {
      if (this.#isClosed) return;
      const life = this.#life(container.name);
      await life.attend(desired, container, this.#deadlineBootMs(desired));
    }
    await this.#report(desired);
  }

  /** Gives the pod its address and its folder. False where that has to wait. */
  async #takeUp(desired: DesiredPod): Promise<boolean> {
    if (this.#pod.knownRecord !== undefined) return true;
    const { clock } = this.#dependencies;
    const ip = this.#context.address(this.#uid);
    if (ip === undefined) {
      const text = 'no address is free in the range of the node';
      await this.#pod.event(desired, 'Warning', 'Failed', text);
      this.#lookAgainIn(retryAfterMs * 6);
      return false;
    }
    const startedAtMs = clock.wallMs();
    await this.#pod.keep({ key: desired.key, uid: desired.uid, ip, startedAtMs });
    return true;
  }

  /**
   * Until when the pod may run if nobody ever looks after it again: from the last
   * answer of the hub the time that its cut policy gives, and its grace. An agent
   * that lives asks it to end before that.
   */
  #deadlineBootMs({ stopAfterMs, graceMs }: DesiredPod): number | undefined {
    if (stopAfterMs === undefined) return undefined;
    const { silentMs } = this.#context.contact();
    const dueMs = this.#dependencies.clock.bootMs() - silentMs + stopAfterMs + graceMs;
    return Number.isFinite(dueMs) ? Math.max(0, Math.floor(dueMs)) : undefined;
  }

  async #renewDeadlines(desired: DesiredPod): Promise<void> {
    const { runtime } = this.#dependencies;
    const bootMs = this.#deadlineBootMs(desired);
    // Not known since when: what an earlier agent set stays.
    if (bootMs === undefined && desired.stopAfterMs !== undefined) return;
    for (const { name } of desired.containers) {
      await runtime.setDeadline({ podUid: this.#uid, container: name }, bootMs);
    }
  }

  /** True while the pod is to be stopped because the hub is silent; stops it. */
  async #obeysCut(desired: DesiredPod): Promise<boolean> {
    const { stopAfterMs } = desired;
    if (stopAfterMs === undefined) return false;
    const { silentMs, linkedForMs } = this.#context.contact();
    if (silentMs < stopAfterMs && (!this.#isCutOff || linkedForMs >= linkSettledMs)) {
      if (this.#isCutOff) {
        this.#lives.clear();
        // Being stopped is no failure of its own.
        const record = this.#pod.knownRecord;
        if (record !== undefined) await this.#pod.keep({ ...record, backOff: {} });
      }
      this.#isCutOff = false;
      this.#lookAgainIn(Math.min(stopAfterMs - silentMs, stopAfterMs / renewalsPerDeadline));
      return false;
    }
    const message = `the hub was not heard of for ${stopAfterMs / 1000} s, and the pod asks to be stopped then`;
    if (!this.#isCutOff) {
      this.#isCutOff = true;
      for (const life of this.#lives.values()) life.forgetStop();
      await this.#pod.event(desired, 'Warning', 'StoppedByCutPolicy', message);
    }
    await this.#stopRunning(desired, desired.graceMs);
    for (const { name } of desired.containers) {
      this.#life(name).waiting = { reason: 'StoppedByCutPolicy', message };
    }
    this.#lookAgainIn(linkSettledMs);
    return true;
  }

  /** Stops what runs; then says so, or forgets the pod where its object is gone. */
  async #end(desired: DesiredPod | undefined): Promise<void> {
    const { runtime, disk } = this.#dependencies;
    const regarding = desired ?? this.#lastDesired;
    const runningCount = await this.#stopRunning(regarding, regarding?.graceMs ?? graceMsDefault);
    if (desired !== undefined) {
      if (this.#pod.knownRecord !== undefined) await this.#report(desired, runningCount === 0);
      else await this.#reportNeverStarted(desired);
    } else if (runningCount === 0) {
      await runtime.removePod(this.#uid);
      await disk.remove(`pods/${this.#uid}`);
      void this.close();
      this.#context.finished(this.#uid);
    }
  }

  /** Asks what runs to end, kills it when the grace is over; answers how many ran. */
  async #stopRunning(regarding: DesiredPod | undefined, graceMs: number): Promise<number> {
    const { runtime } = this.#dependencies;
    let count = 0;
    for (const { podUid, container } of runtime.list()) {
      if (podUid !== this.#uid) continue;
      if (await this.#life(container).stop(regarding, graceMs)) count += 1;
    }
    return count;
  }

  /** Of a pod that the hub has given up before this node took it up. */
  async #answerNeverStarted(desired: DesiredPod, lossId: string): Promise<void> {
    if (desired.report?.answersLost?.id === lossId) return;
    const answersLost = { id: lossId, isRunning: false };
    await this.#pod.putReport(desired, { status: { phase: 'Pending' }, answersLost });
  }

  async #reportNeverStarted(desired: DesiredPod): Promise<void> {
    if (desired.report?.terminated === true) return;
    const report: PodReport = { status: { phase: 'Failed' }, terminated: true };
    await this.#pod.putReport(desired, report);
    this.#lastDesired = { ...desired, report };
  }

  async #report(desired: DesiredPod, isTerminated = false): Promise<void> {
    const { clock } = this.#dependencies;
    const { record } = this.#pod;
    const containers: ContainerView[] = desired.containers.map(({ name, image }) => ({
      name,
      image,
      run: this.#life(name).run,
      waiting: desired.isDeleting ? undefined : this.#life(name).waiting,
    }));
    const status = podStatusOf(
      {
        containers,
        restartPolicy: desired.restartPolicy,
        ip: record.ip,
        hostIp: this.#context.hostAddress,
        startedAtMs: record.startedAtMs,
        isEnding: desired.isDeleting,
      },
      record.report?.status.conditions ?? [],
      clock.wallMs(),
    );
    const { lossId } = desired;
    const isRunning = containers.every(({ run }) => run !== undefined && run.exit === undefined);
    const report: PodReport = {
      status,
      ...(isTerminated ? { terminated: true } : {}),
      ...(lossId === undefined ? {} : { answersLost: { id: lossId, isRunning } }),
    };
    const isKnown = JSON.stringify(report) === JSON.stringify(record.report);
    if (isKnown && !this.#mustRepeatReport) return;
    await this.#pod.putReport(desired, report);
    this.#mustRepeatReport = false;
    // After the outbox has it: a crash between the two repeats the report and loses none.
    await this.#pod.keep({ ...record, report });
  }
}
