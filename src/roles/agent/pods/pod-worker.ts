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
 * 3. Once the node itself ends nothing starts: each pass brings the pod's end on, in the
 *    order and with the hooks and the grace of a pod that is deleted.
 * 4. Of a pod that the hub has given up nothing starts; what runs goes on, and
 *    the report says whether it does.
 * 5. No end of a pod waits for the disk. That the pod fails counts at once and is on disk when
 *    there is room (pod-handle.ts); then what ended has given its volumes back, if need be
 *    before that it failed is on disk, as they may be what fills it. An agent that dies
 *    in between leaves a pod that is run again, with empty volumes: one run after the other.
 */
import { errorText } from '#base/mod.ts';
import type { PodReport } from '#platform/api/mod.ts';
import type { Clock, Disk, Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { Outbox } from '#platform/sync/mod.ts';
import type { ActionDependencies } from '../probes/actions.ts';
import type { RuntimeSet } from '../runtimes/runtime-set.ts';
import type { ContainerRun } from '../runtimes/types.ts';
import { ContainerLife } from './container-life.ts';
import { graceMsDefault, type DesiredPod } from './desired-pod.ts';
import { PodHandle } from './pod-handle.ts';
import { isOver, nextToStop, phaseOf, planPod, type ObservedContainer } from './pod-plan.ts';
import type { PodFailure, PodRecord } from './pod-record.ts';
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
  readonly actions: ActionDependencies;
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
  /** Why the pod may not stay on this node: it has more on disk than it may. */
  overuse(uid: string): string | undefined;
  /** Before the pod's folder goes. */
  removeVolumes(uid: string): Promise<void>;
  /** Everything of the pod is gone. */
  finished(uid: string): void;
}

const retryAfterMs = 5_000;
/** For a pod that goes for want of what the node needs: the others wait for that. */
const evictedGraceMsMax = 30_000;
const evictedReason = 'Evicted';
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
  /** When what still runs of the pod is killed; undefined while it is not being stopped. */
  /** Set when the node ends. */
  #endsByMs: number | undefined;
  #stopBy: number | undefined;
  #activeDue: { readonly seconds: number; readonly bootMs: number } | undefined;
  #lastDesired: DesiredPod | undefined;
  #hasGivenBack = false;
  /** Stopped for want of the hub; starts again when it is back. */
  #isCutOff = false;
  /** The incarnation of the owner that has what was reported, or was told it once more. */
  #reportCheckedIn: string | undefined;
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
  }

  /** It is decided that it ends for good, or it has ended. */
  get isOver(): boolean {
    const { failure, report } = this.#pod.knownRecord ?? {};
    const phase = report?.status.phase;
    return failure !== undefined || phase === 'Succeeded' || phase === 'Failed';
  }

  /** Nothing of it runs any more, and its volumes are gone. */
  get hasGivenBack(): boolean {
    return this.#hasGivenBack;
  }

  /** Something may have changed: look again. */
  nudge(): void {
    this.#isNudged = true;
    if (!this.#isRunning && !this.#isClosed) this.#running = this.#run();
  }

  /**
   * From now on the pod only ends, by `byMs` on the monotonic clock at the latest.
   * Resolves when it has been asked to: nothing of it starts after that.
   */
  async windDown(byMs: number): Promise<void> {
    this.#endsByMs = byMs;
    this.nudge();
    await this.#running;
  }

  /** Resolves when what it was just doing is done: nothing starts or is asked after that. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#running;
    for (const life of this.#lives.values()) life.close();
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
    if (this.#endsByMs !== undefined) {
      const leftMs = Math.max(0, this.#endsByMs - this.#dependencies.clock.monotonicMs());
      const graceMs = Math.min(this.#lastDesired?.graceMs ?? graceMsDefault, leftMs);
      await this.#stopRunning(this.#lastDesired, graceMs);
      return;
    }
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
    await this.#noteOverdue(desired);
    await this.#noteOveruse(desired);
    const { failure } = this.#pod.record;
    if (failure === undefined) {
      this.#hasGivenBack = false;
      await this.#renewDeadlines(desired);
      await this.#carryOut(desired);
    } else {
      await this.#endFailed(desired, failure);
    }
    if (!this.#isClosed) await this.#report(desired);
  }

  /** One that goes for want of room makes it: not its logs, which people ask for. */
  async #endFailed(desired: DesiredPod, { reason }: PodFailure): Promise<void> {
    const isEvicted = reason === evictedReason;
    const graceMs = isEvicted ? Math.min(desired.graceMs, evictedGraceMsMax) : desired.graceMs;
    const runningCount = await this.#stopRunning(desired, graceMs);
    if (isEvicted && runningCount === 0) await this.#giveBack();
  }

  /** Nothing of it runs or will: its volumes go, and what is to be kept may have their room. */
  async #giveBack(): Promise<void> {
    if (this.#hasGivenBack) return;
    try {
      await this.#context.removeVolumes(this.#uid);
      this.#hasGivenBack = true;
    } catch (error) {
      // It has ended, and says so, whatever becomes of them.
      const fields = { podUid: this.#uid, error: errorText(error) };
      this.#dependencies.logger.log('warn', 'volumes of a pod could not be removed yet', fields);
      this.#lookAgainIn(retryAfterMs);
    }
  }

  /** Runs what the plan says, and stops what has no more work to do. */
  async #carryOut(desired: DesiredPod): Promise<void> {
    const { record } = this.#pod;
    const observed = this.#observe(desired);
    const wasInitialized = this.#isInitialized(desired);
    const plan = planPod(observed, desired.restartPolicy, wasInitialized);
    // On disk before what comes after initialization begins.
    if (plan.isInitialized && !wasInitialized) {
      await this.#pod.keep({ ...record, isInitialized: true });
    }
    for (const container of desired.containers) {
      if (this.#isClosed) return;
      const life = this.#life(container.container.name);
      const wasStarted = life.condition.hasStarted;
      if (plan.attend.includes(container.container.name)) {
        await life.attend(desired, container, this.#deadlineBootMs(desired));
        // What comes next may have waited for just that.
        if (!wasStarted && life.isRunning) this.#lookAgainIn(0);
      }
    }
    if (plan.stop.length > 0) await this.#stopRunning(desired, desired.graceMs);
    else this.#stopBy = undefined;
  }

  /** All its init containers have done their work, if it has any. */
  #isInitialized({ containers }: DesiredPod): boolean {
    const { isInitialized } = this.#pod.record;
    return isInitialized === true || containers.every(({ role }) => role === 'main');
  }

  #observe(desired: DesiredPod): readonly ObservedContainer[] {
    return desired.containers.map(({ role, container }) =>
      this.#life(container.name).observe({ role }, desired),
    );
  }

  /** The pod's own limit of time, which counts from when this node took it up. */
  async #noteOverdue({ spec }: DesiredPod): Promise<void> {
    const { record } = this.#pod;
    if (spec.activeDeadlineSeconds === undefined || record.failure !== undefined) return;
    const leftMs = this.#activeLeftMs(spec.activeDeadlineSeconds);
    const status = record.report?.status.phase;
    if (status === 'Succeeded' || status === 'Failed') return;
    if (leftMs > 0) {
      this.#lookAgainIn(leftMs);
      return;
    }
    const message = 'Pod was active on the node longer than the specified deadline';
    await this.#pod.keepWhenRoom({ ...record, failure: { reason: 'DeadlineExceeded', message } });
  }

  /** It has more on disk than it may: it ends, and another node may do better. */
  async #noteOveruse(desired: DesiredPod): Promise<void> {
    const { record } = this.#pod;
    const message = this.#context.overuse(this.#uid);
    const phase = record.report?.status.phase;
    if (message === undefined || record.failure !== undefined) return;
    if (phase === 'Succeeded' || phase === 'Failed') return;
    await this.#pod.keepWhenRoom({ ...record, failure: { reason: evictedReason, message } });
    await this.#pod.event(desired, 'Warning', evictedReason, message);
  }

  /** By the wall clock, the only one that goes on across a boot of the machine. */
  #activeLeftMs(seconds: number): number {
    return this.#pod.record.startedAtMs + seconds * 1000 - this.#dependencies.clock.wallMs();
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
  #deadlineBootMs(desired: DesiredPod): number | undefined {
    const dueMs = Math.min(this.#cutDueBootMs(desired), this.#activeDueBootMs(desired));
    return Number.isFinite(dueMs) ? Math.max(0, Math.floor(dueMs)) : undefined;
  }

  /** Infinite for none, or where it is not known when the hub was last heard of. */
  #cutDueBootMs({ stopAfterMs, graceMs }: DesiredPod): number {
    if (stopAfterMs === undefined) return Infinity;
    const { silentMs } = this.#context.contact();
    const dueMs = this.#dependencies.clock.bootMs() - silentMs + stopAfterMs + graceMs;
    return Number.isFinite(dueMs) ? dueMs : Infinity;
  }

  /** Worked out once, as the two clocks do not go quite alike. */
  #activeDueBootMs({ spec, graceMs }: DesiredPod): number {
    const seconds = spec.activeDeadlineSeconds;
    if (seconds === undefined) return Infinity;
    if (this.#activeDue?.seconds !== seconds) {
      const leftMs = Math.max(0, this.#activeLeftMs(seconds)) + graceMs;
      this.#activeDue = { seconds, bootMs: this.#dependencies.clock.bootMs() + leftMs };
    }
    return this.#activeDue.bootMs;
  }

  async #renewDeadlines(desired: DesiredPod): Promise<void> {
    const { runtime } = this.#dependencies;
    // Not known since when: what an earlier agent set stays.
    if (desired.stopAfterMs !== undefined && this.#cutDueBootMs(desired) === Infinity) return;
    const bootMs = this.#deadlineBootMs(desired);
    for (const { container } of desired.containers) {
      await runtime.setDeadline({ podUid: this.#uid, container: container.name }, bootMs);
    }
  }

  /** True while the pod is to be stopped because the hub is silent; stops it. */
  async #obeysCut(desired: DesiredPod): Promise<boolean> {
    const { stopAfterMs } = desired;
    if (stopAfterMs === undefined) return false;
    const { silentMs, linkedForMs } = this.#context.contact();
    if (silentMs < stopAfterMs && (!this.#isCutOff || linkedForMs >= linkSettledMs)) {
      if (this.#isCutOff) {
        for (const life of this.#lives.values()) life.close();
        this.#lives.clear();
        this.#stopBy = undefined;
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
      this.#stopBy = undefined;
      await this.#pod.event(desired, 'Warning', 'StoppedByCutPolicy', message);
    }
    await this.#stopRunning(desired, desired.graceMs);
    for (const container of this.#observe(desired)) {
      if (isOver(container, desired.restartPolicy)) continue;
      this.#life(container.name).waiting = { reason: 'StoppedByCutPolicy', message };
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
      try {
        if (this.#pod.knownRecord !== undefined) await this.#report(desired, runningCount === 0);
        else await this.#reportNeverStarted(desired);
      } catch (error) {
        // There may be no room to say so, and its object stays until it is said.
        if (runningCount === 0 && !this.#hasGivenBack) {
          await this.#giveBack();
          if (this.#hasGivenBack) this.#lookAgainIn(0);
        }
        throw error;
      }
    } else if (runningCount === 0) {
      await runtime.removePod(this.#uid);
      await this.#context.removeVolumes(this.#uid);
      await disk.remove(`pods/${this.#uid}`);
      void this.close();
      this.#context.finished(this.#uid);
    }
  }

  /** Asks what runs to end, sidecars last, and kills what takes longer; answers how many ran. */
  async #stopRunning(regarding: DesiredPod | undefined, graceMs: number): Promise<number> {
    const { runtime, clock } = this.#dependencies;
    const byMs = Math.min(clock.monotonicMs() + graceMs, this.#stopBy ?? Infinity);
    this.#stopBy = byMs;
    const known = regarding?.containers ?? [];
    const strays = runtime
      .list()
      .filter(({ podUid }) => podUid === this.#uid)
      .filter(({ container }) => !known.some((one) => one.container.name === container));
    const observed = [
      ...known.map(({ role, container }) =>
        this.#life(container.name).observe({ role }, regarding),
      ),
      ...strays.map(({ container }) => this.#life(container).observe({ role: 'main' }, regarding)),
    ];
    for (const name of nextToStop(observed)) {
      const life = this.#life(name);
      const one = known.find(({ container }) => container.name === name);
      const killAtMs = one?.role === 'sidecar' ? life.lastKillAtMs(byMs, graceMs) : byMs;
      await life.stop(regarding, one?.container, killAtMs);
    }
    return observed.filter(({ state }) => state === 'running').length;
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
    await this.#pod.catchUp();
    const { clock } = this.#dependencies;
    const { record } = this.#pod;
    const isEnding = desired.isDeleting || record.failure !== undefined;
    const observed = this.#observe(desired);
    const containers: ContainerView[] = desired.containers.map(({ role, container }) => {
      const life = this.#life(container.name);
      const { state } = life.observe({ role }, desired);
      return {
        name: container.name,
        image: container.image,
        role,
        run: life.run,
        waiting: isEnding ? undefined : life.waiting,
        kept: state === 'ended' ? life.kept : undefined,
        ...life.condition,
      };
    });
    const hasFailed = record.failure !== undefined;
    const reported = record.report?.status;
    const computed = podStatusOf(
      {
        containers,
        phase: phaseOf(observed, desired.restartPolicy, { isEnding, hasFailed }),
        isInitialized: this.#isInitialized(desired),
        ip: record.ip,
        hostIp: this.#context.hostAddress,
        startedAtMs: record.startedAtMs,
        isEnding,
        failure: record.failure,
      },
      reported?.conditions ?? [],
      clock.wallMs(),
    );
    // What was done is not undone, should the disk forget how it ended.
    const status = reported?.phase === 'Succeeded' ? reported : computed;
    const { lossId } = desired;
    const isRunning = containers
      .filter(({ role }) => role === 'main')
      .every(({ run }) => run !== undefined && run.exit === undefined);
    const report: PodReport = {
      status,
      ...(isTerminated ? { terminated: true } : {}),
      ...(lossId === undefined ? {} : { answersLost: { id: lossId, isRunning } }),
    };
    const text = JSON.stringify(report);
    if (text === JSON.stringify(record.report) && !this.#mustRepeat(text, desired)) return;
    const reportedAt = await this.#pod.putReport(desired, report);
    this.#reportCheckedIn = desired.incarnation;
    // After the outbox has it: a crash between the two repeats the report and loses none.
    await this.#pod.keep({ ...record, report, reportedAt });
  }

  /**
   * A disk may have lost what waited for delivery, and does not always know it. So until a
   * link has brought what the hub has, a report that the hub does not have is put again. So it
   * is in each incarnation: a hub that was restored has lost what the one before it took.
   */
  #mustRepeat(text: string, desired: DesiredPod): boolean {
    const { incarnation } = desired;
    if (this.#reportCheckedIn === incarnation) return false;
    if (text !== JSON.stringify(desired.report)) return true;
    const isSettled = this.#context.contact().linkedForMs >= linkSettledMs;
    if (isSettled) this.#reportCheckedIn = incarnation;
    return false;
  }
}
