/**
 * Makes one pod what the hub wants it to be. Level-triggered: a pass looks at
 * what is wanted and at what runs, and does what is missing; what caused it does
 * not matter, and running it once more changes nothing.
 *
 * Invariants:
 * 1. Passes of one pod never overlap; a nudge during a pass means another one after it.
 * 2. A container is started again only after its last run's end was read, and
 *    with a restart count one higher.
 * 3. Nothing is stopped because it is missing somewhere: only `gone`, which the
 *    supervisor says when the owner's record said so, a deletion, or the pod's
 *    own wish to stop when the hub was not heard of for so long.
 * 4. Of a pod that the hub has given up nothing starts; what runs goes on, and
 *    the report says whether it does.
 */
import { assert, errorText, type JsonObject } from '#base/mod.ts';
import type { Container, PodReport } from '#platform/api/mod.ts';
import type { Clock, Disk, Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { Outbox } from '#platform/sync/mod.ts';
import { backOffDelayMs, restartBackOff, restartForgivenAfterMs } from '../back-off.ts';
import { AgentError } from '../errors.ts';
import type { ImageCache } from '../images/image-cache.ts';
import type { ContainerRun, Runtime } from '../runtimes/types.ts';
import { graceMsDefault, type DesiredPod } from './desired-pod.ts';
import { commandOf, environmentOf } from './environment.ts';
import { writePodRecord, type BackOffRecord, type PodRecord } from './pod-record.ts';
import { podStatusOf, type ContainerView, type Waiting } from './pod-status.ts';

export interface WorkerDependencies {
  readonly disk: Disk;
  readonly outbox: Outbox;
  readonly runtime: Runtime;
  readonly images: ImageCache;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** What the supervisor knows and the worker asks at every pass. */
export interface WorkerContext {
  readonly nodeName: string;
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

const killAgainAfterMs = 2_000;
const retryAfterMs = 5_000;
/** How often the deadline of a pod that stops in a cut is moved on, in the time that it gives. */
const renewalsPerDeadline = 4;
/** A link of this age has brought what changed while there was none. */
const linkSettledMs = 1_000;

/** What a worker remembers of one container between passes; all of it may be lost. */
interface ContainerMemory {
  waiting: Waiting | undefined;
  failuresInRow: number;
  /** The run that `retryAtMs` is about. */
  endedRunId: string | undefined;
  retryAtMs: number;
  /** Set while it is being stopped. */
  killAtMs: number | undefined;
  hasToldPulling: boolean;
  /** The last failure that was told as an event. */
  toldFailure: string | undefined;
}

export class PodWorker {
  readonly #dependencies: WorkerDependencies;
  readonly #context: WorkerContext;
  readonly #memories = new Map<string, ContainerMemory>();
  readonly #uid: string;
  #record: PodRecord | undefined;
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
    this.#record = record;
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
    const { runtime, disk } = this.#dependencies;
    const record = this.#record;
    const run = runtime.get(stopped);
    if (record === undefined || run?.exit === undefined) return;
    const failuresInRow = record.backOff?.[run.container]?.failuresInRow ?? 0;
    const kept = { failuresInRow, endedRunId: run.containerId, retryAtBootMs: 0 };
    this.#record = { ...record, backOff: { ...record.backOff, [run.container]: kept } };
    await writePodRecord(disk, this.#record);
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

  async #pass(): Promise<void> {
    const desired = this.#context.desired(this.#uid);
    if (desired === undefined) return;
    if (desired !== 'gone') this.#lastDesired = desired;
    if (desired === 'gone' || desired.isDeleting) {
      await this.#end(desired === 'gone' ? undefined : desired);
      return;
    }
    if (desired.lossId !== undefined) {
      if (this.#record === undefined) {
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
      await this.#attend(desired, container);
    }
    await this.#report(desired);
  }

  /** Gives the pod its address and its folder. False where that has to wait. */
  async #takeUp(desired: DesiredPod): Promise<boolean> {
    if (this.#record !== undefined) return true;
    const { disk, clock } = this.#dependencies;
    const ip = this.#context.address(this.#uid);
    if (ip === undefined) {
      await this.#event(
        desired,
        'Warning',
        'Failed',
        'no address is free in the range of the node',
      );
      this.#lookAgainIn(retryAfterMs * 6);
      return false;
    }
    const record = { key: desired.key, uid: desired.uid, ip, startedAtMs: clock.wallMs() };
    await writePodRecord(disk, record);
    this.#record = record;
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
        this.#memories.clear();
        // Being stopped is no failure of its own.
        if (this.#record !== undefined) this.#record = { ...this.#record, backOff: {} };
      }
      this.#isCutOff = false;
      this.#lookAgainIn(Math.min(stopAfterMs - silentMs, stopAfterMs / renewalsPerDeadline));
      return false;
    }
    const message = `the hub was not heard of for ${stopAfterMs / 1000} s, and the pod asks to be stopped then`;
    if (!this.#isCutOff) {
      this.#isCutOff = true;
      for (const memory of this.#memories.values()) memory.killAtMs = undefined;
      await this.#event(desired, 'Warning', 'StoppedByCutPolicy', message);
    }
    await this.#stopRunning(desired, desired.graceMs);
    for (const { name } of desired.containers) {
      this.#memory(name).waiting = { reason: 'StoppedByCutPolicy', message };
    }
    this.#lookAgainIn(linkSettledMs);
    return true;
  }

  #memory(name: string): ContainerMemory {
    let memory = this.#memories.get(name);
    if (memory === undefined) {
      const kept = this.#record?.backOff?.[name];
      memory = {
        waiting: undefined,
        failuresInRow: kept?.failuresInRow ?? 0,
        endedRunId: kept?.endedRunId,
        retryAtMs: kept === undefined ? 0 : this.#retryAtMs(kept),
        killAtMs: undefined,
        hasToldPulling: false,
        toldFailure: undefined,
      };
      this.#memories.set(name, memory);
    }
    return memory;
  }

  /** The machine may have booted since: never longer than such a wait is. */
  #retryAtMs({ failuresInRow, retryAtBootMs }: BackOffRecord): number {
    const { clock } = this.#dependencies;
    const longestMs = backOffDelayMs(restartBackOff, Math.max(1, failuresInRow));
    const leftMs = Math.min(Math.max(0, retryAtBootMs - clock.bootMs()), longestMs);
    return clock.monotonicMs() + leftMs;
  }

  async #attend(desired: DesiredPod, container: Container): Promise<void> {
    const { runtime, clock } = this.#dependencies;
    const memory = this.#memory(container.name);
    const run = runtime.get({ podUid: this.#uid, container: container.name });
    if (run !== undefined && run.exit === undefined) {
      memory.waiting = undefined;
      return;
    }
    if (run?.exit !== undefined) {
      const { restartPolicy } = desired;
      const isOver =
        restartPolicy === 'Never' || (restartPolicy === 'OnFailure' && run.exit.exitCode === 0);
      if (isOver) {
        memory.waiting = undefined;
        return;
      }
      if (memory.endedRunId !== run.containerId) await this.#noteEnd(desired, memory, run);
      const delayMs = memory.retryAtMs - clock.monotonicMs();
      if (delayMs > 0) {
        await this.#backOff(desired, container, memory, delayMs);
        return;
      }
    }
    await this.#start(desired, container, memory, run);
  }

  /** The first restart is at once, later ones wait, longer each time; on disk before it waits. */
  async #noteEnd(desired: DesiredPod, memory: ContainerMemory, run: ContainerRun): Promise<void> {
    assert(run.exit !== undefined, 'it has ended');
    const { clock, disk } = this.#dependencies;
    const record = this.#record;
    assert(record !== undefined, 'a pod is taken up before its containers end');
    const { exitCode, reason, finishedAtMs } = run.exit;
    const ranMs = finishedAtMs - run.startedAtMs;
    const before = ranMs >= restartForgivenAfterMs ? 0 : memory.failuresInRow;
    // Killed together with its shim, as when the machine goes down, it has not failed itself.
    const isOwn = reason !== 'ContainerStatusUnknown' || ranMs < restartBackOff.firstMs;
    const delayMs = before === 0 || !isOwn ? 0 : backOffDelayMs(restartBackOff, before);
    const text = `Container ${run.container} ended with exit code ${exitCode} (${reason})`;
    await this.#event(desired, exitCode === 0 ? 'Normal' : 'Warning', 'Exited', text);
    const kept: BackOffRecord = {
      failuresInRow: isOwn ? before + 1 : before,
      endedRunId: run.containerId,
      retryAtBootMs: clock.bootMs() + delayMs,
    };
    this.#record = { ...record, backOff: { ...record.backOff, [run.container]: kept } };
    await writePodRecord(disk, this.#record);
    memory.failuresInRow = kept.failuresInRow;
    memory.endedRunId = kept.endedRunId;
    memory.retryAtMs = clock.monotonicMs() + delayMs;
  }

  async #backOff(
    desired: DesiredPod,
    container: Container,
    memory: ContainerMemory,
    delayMs: number,
  ): Promise<void> {
    this.#lookAgainIn(delayMs);
    if (memory.waiting?.reason === 'CrashLoopBackOff') return;
    const message = `back-off ${Math.round(delayMs / 1000)}s restarting failed container=${container.name}`;
    memory.waiting = { reason: 'CrashLoopBackOff', message };
    await this.#event(
      desired,
      'Warning',
      'BackOff',
      `Back-off restarting failed container ${container.name}`,
    );
  }

  async #start(
    desired: DesiredPod,
    container: Container,
    memory: ContainerMemory,
    before: ContainerRun | undefined,
  ): Promise<void> {
    const { runtime, images, clock } = this.#dependencies;
    const record = this.#record;
    assert(record !== undefined, 'a pod is taken up before its containers start');
    const digest = desired.images[container.image];
    if (digest === undefined) {
      await this.#cannotPull(desired, memory, container.image, 'the hub has not said what it is');
      return;
    }
    const state = images.want(digest);
    if (state.status === 'pulling') {
      if (memory.waiting === undefined) memory.waiting = { reason: 'ContainerCreating' };
      if (!memory.hasToldPulling) {
        memory.hasToldPulling = true;
        await this.#event(desired, 'Normal', 'Pulling', `Pulling image "${container.image}"`);
      }
      return;
    }
    if (state.status === 'failed') {
      await this.#cannotPull(desired, memory, container.image, state.message);
      return;
    }
    const { image } = state;
    if (before === undefined && memory.toldFailure === undefined) {
      const text = memory.hasToldPulling
        ? `Successfully pulled image "${container.image}"`
        : `Container image "${container.image}" already present on machine`;
      await this.#event(desired, 'Normal', 'Pulled', text);
    }
    const { namespace, name } = desired.key;
    try {
      const { nodeName } = this.#context;
      const environment = environmentOf(container, image, {
        namespace,
        name,
        nodeName,
        ip: record.ip,
      });
      const deadlineBootMs = this.#deadlineBootMs(desired);
      await runtime.start({
        podUid: this.#uid,
        podNamespace: namespace,
        podName: name,
        container: container.name,
        image: container.image,
        digest,
        ip: record.ip,
        bundle: image.bundle,
        command: commandOf(container, image, environment),
        environment,
        restartCount: before === undefined ? 0 : before.restartCount + 1,
        ...(before?.exit === undefined ? {} : { last: before.exit }),
        ...(deadlineBootMs === undefined ? {} : { deadlineBootMs }),
      });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      const reason =
        error.code === 'RUNTIME_BAD_COMMAND' ? 'CreateContainerConfigError' : 'RunContainerError';
      memory.waiting = { reason, message: error.message };
      memory.failuresInRow += 1;
      const delayMs = backOffDelayMs(restartBackOff, memory.failuresInRow);
      memory.retryAtMs = clock.monotonicMs() + delayMs;
      this.#lookAgainIn(delayMs);
      await this.#tellFailure(desired, memory, `Error: ${error.message}`);
      return;
    }
    memory.waiting = undefined;
    memory.toldFailure = undefined;
    memory.hasToldPulling = false;
    await this.#event(desired, 'Normal', 'Created', `Created container ${container.name}`);
    await this.#event(desired, 'Normal', 'Started', `Started container ${container.name}`);
    // It may have ended before anybody listened.
    if (runtime.get({ podUid: this.#uid, container: container.name })?.exit !== undefined) {
      this.#lookAgainIn(0);
    }
  }

  async #cannotPull(
    desired: DesiredPod,
    memory: ContainerMemory,
    reference: string,
    why: string,
  ): Promise<void> {
    const isRepeated = memory.toldFailure !== undefined;
    memory.waiting = {
      reason: isRepeated ? 'ImagePullBackOff' : 'ErrImagePull',
      message: isRepeated ? `Back-off pulling image "${reference}": ${why}` : why,
    };
    // The first failure is told as such; from the next look on it is a back-off.
    if (!isRepeated) this.#lookAgainIn(1000);
    await this.#tellFailure(desired, memory, `Failed to pull image "${reference}": ${why}`);
  }

  async #tellFailure(desired: DesiredPod, memory: ContainerMemory, text: string): Promise<void> {
    if (memory.toldFailure === text) return;
    memory.toldFailure = text;
    await this.#event(desired, 'Warning', 'Failed', text);
  }

  /** Stops what runs; then says so, or forgets the pod where its object is gone. */
  async #end(desired: DesiredPod | undefined): Promise<void> {
    const { runtime, disk } = this.#dependencies;
    const regarding = desired ?? this.#lastDesired;
    const runningCount = await this.#stopRunning(regarding, regarding?.graceMs ?? graceMsDefault);
    if (desired !== undefined) {
      if (this.#record !== undefined) await this.#report(desired, runningCount === 0);
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
    const { runtime, clock } = this.#dependencies;
    const runs = runtime.list().filter((run) => run.podUid === this.#uid);
    const running = runs.filter((run) => run.exit === undefined);
    for (const run of running) {
      const memory = this.#memory(run.container);
      const nowMs = clock.monotonicMs();
      if (memory.killAtMs === undefined) {
        memory.killAtMs = nowMs + graceMs;
        if (regarding !== undefined) {
          await this.#event(regarding, 'Normal', 'Killing', `Stopping container ${run.container}`);
        }
        if (graceMs > 0) await runtime.stop(run, 'graceful');
      } else if (nowMs + graceMs < memory.killAtMs) {
        // Deleted again, with less grace.
        memory.killAtMs = nowMs + graceMs;
      }
      if (nowMs >= memory.killAtMs) {
        await runtime.stop(run, 'kill');
        this.#lookAgainIn(killAgainAfterMs);
      } else {
        this.#lookAgainIn(memory.killAtMs - nowMs);
      }
    }
    return running.length;
  }

  /** Of a pod that the hub has given up before this node took it up. */
  async #answerNeverStarted(desired: DesiredPod, lossId: string): Promise<void> {
    if (desired.report?.answersLost?.id === lossId) return;
    const answersLost = { id: lossId, isRunning: false };
    await this.#putReport(desired, { status: { phase: 'Pending' }, answersLost });
  }

  async #reportNeverStarted(desired: DesiredPod): Promise<void> {
    if (desired.report?.terminated === true) return;
    const report: PodReport = { status: { phase: 'Failed' }, terminated: true };
    await this.#putReport(desired, report);
    this.#lastDesired = { ...desired, report };
  }

  async #report(desired: DesiredPod, isTerminated = false): Promise<void> {
    const { runtime, clock, disk } = this.#dependencies;
    const record = this.#record;
    assert(record !== undefined, 'a report is about a pod that was taken up');
    const containers: ContainerView[] = desired.containers.map(({ name, image }) => ({
      name,
      image,
      run: runtime.get({ podUid: this.#uid, container: name }),
      waiting: desired.isDeleting ? undefined : this.#memories.get(name)?.waiting,
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
    await this.#putReport(desired, report);
    this.#mustRepeatReport = false;
    // After the outbox has it: a crash between the two repeats the report and loses none.
    this.#record = { ...record, report };
    await writePodRecord(disk, this.#record);
  }

  async #putReport(desired: DesiredPod, report: PodReport): Promise<void> {
    await this.#dependencies.outbox.put({
      type: 'report',
      key: desired.key,
      uid: desired.uid,
      report: JSON.parse(JSON.stringify(report)) as JsonObject,
    });
  }

  async #event(
    desired: DesiredPod,
    severity: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): Promise<void> {
    const { outbox, clock } = this.#dependencies;
    await outbox.put({
      type: 'event',
      regarding: { key: desired.key, uid: desired.uid, kind: 'Pod' },
      severity,
      reason,
      message,
      atWallMs: clock.wallMs(),
    });
  }
}
