/**
 * The life of one container of a pod: its runs one after the other, and the waits
 * between them. The pod says when it may run at all; this says what is missing
 * until it does.
 *
 * Invariants:
 * 1. It is started again only after its last run's end was read, with a restart
 *    count one higher.
 * 2. The end of a run is counted once, and on disk before the wait after it begins.
 * 3. A hook is begun at most once for a run: that it is begun is on disk before. Only
 *    `preStop` on a disk without room is begun all the same, as the end may be what makes
 *    room; an agent that comes after one that died meanwhile begins it once more.
 * 4. A run that is asked to end is killed when its time is over, whatever its hook does.
 * 5. A run of another image than the one that is wanted is ended for it; what the image's
 *    tag stands for meanwhile does not count, and no init container is begun anew for it.
 */
import { assert, ownOf } from '#base/mod.ts';
import type { Container, ContainerStatus } from '#platform/api/mod.ts';
import { backOffDelayMs, restartBackOff, restartForgivenAfterMs } from '../back-off.ts';
import { AgentError } from '../errors.ts';
import type { PullProgress } from '../images/image-pull.ts';
import { pullNews, type PullTold, pullToldEveryMs } from '../images/pull-news.ts';
import { performAction, type ActionResult } from '../probes/actions.ts';
import { startCare, type CareDependencies, type RunCare } from '../probes/run-care.ts';
import type { RuntimeSet } from '../runtimes/runtime-set.ts';
import type { ContainerRun } from '../runtimes/types.ts';
import type { DesiredPod } from './desired-pod.ts';
import type { PodHandle } from './pod-handle.ts';
import { isOver, restartPolicyOf, type ObservedContainer, type PodContainer } from './pod-plan.ts';
import type { BackOffRecord, HookRecord, PodRecord } from './pod-record.ts';
import type { Waiting } from './pod-status.ts';
import type { Preparer } from './prepare.ts';

export interface ContainerLifeDependencies extends CareDependencies {
  readonly runtime: RuntimeSet;
  readonly preparer: Preparer;
}

/** A run that is being ended. */
interface Stopping {
  readonly runId: string;
  killAtMs: number;
  step: 'hook' | 'ask' | 'wait';
}

const killAgainAfterMs = 2_000;
/** A sidecar is asked when the rest has ended, which may have taken all the time there was. */
const lastWordsMs = 2_000;

export class ContainerLife {
  readonly #dependencies: ContainerLifeDependencies;
  readonly #pod: PodHandle;
  readonly #name: string;
  /** Why there is no run, or why the next one has not begun. */
  waiting: Waiting | undefined;
  #failuresInRow: number;
  /** The run whose end was counted last. */
  #endedRunId: string | undefined;
  #retryAtMs: number;
  #stopping: Stopping | undefined;
  /** Of the run that lives. */
  #care: RunCare | undefined;
  /** What was said last of a pull that goes on; undefined while none is known of. */
  #pulling: PullTold | undefined;
  /** The last failure that was told as an event. */
  #toldFailure: string | undefined;

  constructor(dependencies: ContainerLifeDependencies, pod: PodHandle, name: string) {
    this.#dependencies = dependencies;
    this.#pod = pod;
    this.#name = name;
    const kept = ownOf(pod.knownRecord?.backOff, name);
    this.#failuresInRow = kept?.failuresInRow ?? 0;
    this.#endedRunId = kept?.endedRunId;
    this.#retryAtMs = kept === undefined ? 0 : this.#retryTimeOf(kept);
  }

  /** The newest, running or ended. */
  get run(): ContainerRun | undefined {
    return this.#dependencies.runtime.get({ podUid: this.#pod.uid, container: this.#name });
  }

  get isRunning(): boolean {
    const { run } = this;
    return run !== undefined && run.exit === undefined;
  }

  /** The machine may have booted since: never longer than such a wait is. */
  #retryTimeOf({ failuresInRow, retryAtBootMs }: BackOffRecord): number {
    const { clock } = this.#dependencies;
    const longestMs = backOffDelayMs(restartBackOff, Math.max(1, failuresInRow));
    const leftMs = Math.min(Math.max(0, retryAtBootMs - clock.bootMs()), longestMs);
    return clock.monotonicMs() + leftMs;
  }

  /** What the plan is made from. Where a run's traces are lost, what was reported of it counts. */
  observe(
    { role }: Pick<PodContainer, 'role'>,
    desired: DesiredPod | undefined,
  ): ObservedContainer {
    const { run } = this;
    const seen = { name: this.#name, role, exitCode: undefined };
    if (run !== undefined && run.exit === undefined) {
      return { ...seen, state: 'running', hasStarted: this.#careOf(run)?.hasStarted ?? false };
    }
    const exitCode = run?.exit?.exitCode ?? this.kept?.state?.terminated?.exitCode;
    if (exitCode === undefined) return { ...seen, state: 'never', hasStarted: false };
    const ended: ObservedContainer = {
      ...seen,
      state: 'ended',
      exitCode,
      hasStarted: false,
      ...(this.#isReplaced(run) ? { isReplaced: true } : {}),
    };
    // Only what would not run again is believed without its traces.
    const isKnown = run !== undefined || isOver(ended, desired?.restartPolicy ?? 'Never');
    return isKnown ? ended : { ...seen, state: 'never', hasStarted: false };
  }

  /** What was last reported of it. */
  get kept(): ContainerStatus | undefined {
    const { initContainerStatuses = [], containerStatuses = [] } =
      this.#pod.knownRecord?.report?.status ?? {};
    return [...initContainerStatuses, ...containerStatuses].find(({ name }) => name === this.#name);
  }

  /** For the report: whether the run has started, and does its work. */
  get condition(): { readonly hasStarted: boolean; readonly isReady: boolean } {
    const { run } = this;
    if (run === undefined || run.exit !== undefined) return { hasStarted: false, isReady: false };
    const { hasStarted, isReady } = this.#knownOf(run);
    const isStopping = this.#stopping?.runId === run.containerId;
    return { hasStarted, isReady: isReady && !isStopping };
  }

  /** A run that this agent does not care for yet is what its last report said of it. */
  #knownOf(run: ContainerRun): { readonly hasStarted: boolean; readonly isReady: boolean } {
    const care = this.#careOf(run);
    if (care !== undefined) return care;
    const { kept } = this;
    const isSame = kept?.containerID === run.containerId && kept.state?.running !== undefined;
    return { hasStarted: isSame && kept.started === true, isReady: isSame && kept.ready };
  }

  #careOf(run: ContainerRun): RunCare | undefined {
    return this.#care?.runId === run.containerId ? this.#care : undefined;
  }

  /** Makes it run, or says why it does not yet. `deadlineBootMs` as in ContainerStart. */
  async attend(
    desired: DesiredPod,
    { role, container }: PodContainer,
    deadlineBootMs: number | undefined,
  ): Promise<void> {
    const { clock } = this.#dependencies;
    const { run } = this;
    if (run !== undefined && run.exit === undefined) {
      if (role === 'init' || run.image === container.image) {
        await this.#lookAfter(desired, container, run);
      } else await this.#replace(desired, container, run);
      return;
    }
    this.#leave();
    if (run?.exit !== undefined && !this.#isReplaced(run)) {
      const restarts = restartPolicyOf(role, desired.restartPolicy);
      if (restarts === 'Never' || (restarts === 'OnFailure' && run.exit.exitCode === 0)) {
        this.waiting = undefined;
        return;
      }
      if (this.#endedRunId !== run.containerId) await this.#noteEnd(desired, run);
    }
    const delayMs = this.#retryAtMs - clock.monotonicMs();
    if (delayMs <= 0) await this.#start(desired, container, run, deadlineBootMs);
    else if (run?.exit !== undefined) await this.#backOff(desired, delayMs);
    else this.#pod.lookAgainIn(delayMs);
  }

  /** While it runs: probes and hooks, and the end of a run that they condemn. */
  async #lookAfter(desired: DesiredPod, container: Container, run: ContainerRun): Promise<void> {
    this.waiting = undefined;
    if (this.#stopping?.runId === run.containerId) {
      await this.stop(desired, container, this.#stopping.killAtMs);
      return;
    }
    const care = this.#careOf(run) ?? (await this.#takeCare(container, run));
    for (const { severity, reason, message } of care.takeNews()) {
      await this.#pod.event(desired, severity, reason, message);
    }
    const { verdict } = care;
    if (verdict === undefined) return;
    const graceMs = verdict.graceMs ?? desired.graceMs;
    const killAtMs = this.#dependencies.clock.monotonicMs() + graceMs;
    await this.stop(desired, container, killAtMs, verdict.message);
  }

  /** Ends a run whose image is not the one that is wanted any more; on disk before, as it is no failure. */
  async #replace(desired: DesiredPod, container: Container, run: ContainerRun): Promise<void> {
    if (!this.#isReplaced(run)) {
      const endedRunId = run.containerId;
      const kept = { failuresInRow: 0, endedRunId, retryAtBootMs: 0, isReplaced: true } as const;
      await this.#keepBackOff(kept);
      this.#failuresInRow = 0;
      this.#endedRunId = endedRunId;
      this.#retryAtMs = 0;
    }
    this.waiting = undefined;
    this.#toldFailure = undefined;
    this.#pulling = undefined;
    const killAtMs = this.#dependencies.clock.monotonicMs() + desired.graceMs;
    const why = `Container ${this.#name} definition changed, will be restarted`;
    await this.stop(desired, container, killAtMs, why);
  }

  #isReplaced(run: ContainerRun | undefined): boolean {
    const kept = this.#pod.knownRecord?.backOff?.[this.#name];
    return run !== undefined && kept?.isReplaced === true && kept.endedRunId === run.containerId;
  }

  async #takeCare(container: Container, run: ContainerRun): Promise<RunCare> {
    this.#leave();
    const known = this.#knownOf(run);
    const begun = this.#pod.record.hooks?.[this.#name]?.postStart === run.containerId;
    const hasHook = container.lifecycle?.postStart !== undefined;
    if (hasHook && !begun) await this.#pod.keep(this.#withHook({ postStart: run.containerId }));
    this.#care = startCare(this.#dependencies, {
      container,
      run,
      known,
      isHookBegun: begun,
      onChange: () => this.#pod.lookAgainIn(0),
    });
    return this.#care;
  }

  #withHook(begun: HookRecord): PodRecord {
    const { record } = this.#pod;
    const hooks = { ...record.hooks, [this.#name]: { ...record.hooks?.[this.#name], ...begun } };
    return { ...record, hooks };
  }

  #leave(): void {
    this.#care?.close();
    this.#care = undefined;
  }

  /** Nothing is asked of it any more; it goes on as it is. */
  close(): void {
    this.#leave();
  }

  /** The first restart is at once, later ones wait, longer each time; on disk before it waits. */
  async #noteEnd(desired: DesiredPod, run: ContainerRun): Promise<void> {
    assert(run.exit !== undefined, 'it has ended');
    const { clock } = this.#dependencies;
    const { exitCode, reason, finishedAtMs } = run.exit;
    const ranMs = finishedAtMs - run.startedAtMs;
    const before = ranMs >= restartForgivenAfterMs ? 0 : this.#failuresInRow;
    // Killed together with its shim, as when the machine goes down, it has not failed itself.
    const isOwn = reason !== 'ContainerStatusUnknown' || ranMs < restartBackOff.firstMs;
    const delayMs = before === 0 || !isOwn ? 0 : backOffDelayMs(restartBackOff, before);
    const text = `Container ${run.container} ended with exit code ${exitCode} (${reason})`;
    await this.#pod.event(desired, exitCode === 0 ? 'Normal' : 'Warning', 'Exited', text);
    const kept: BackOffRecord = {
      failuresInRow: isOwn ? before + 1 : before,
      endedRunId: run.containerId,
      retryAtBootMs: clock.bootMs() + delayMs,
    };
    await this.#keepBackOff(kept);
    this.#failuresInRow = kept.failuresInRow;
    this.#endedRunId = kept.endedRunId;
    this.#retryAtMs = clock.monotonicMs() + delayMs;
  }

  async #keepBackOff(kept: BackOffRecord): Promise<void> {
    const { record } = this.#pod;
    await this.#pod.keep({ ...record, backOff: { ...record.backOff, [this.#name]: kept } });
  }

  /** Its last run was ended by the agent, which is no failure of the workload. */
  async noteStopped(): Promise<void> {
    const { run } = this;
    if (this.#pod.knownRecord === undefined || run?.exit === undefined) return;
    const { containerId } = run;
    const failuresInRow = this.#pod.record.backOff?.[this.#name]?.failuresInRow ?? 0;
    await this.#keepBackOff({ failuresInRow, endedRunId: containerId, retryAtBootMs: 0 });
  }

  async #backOff(desired: DesiredPod, delayMs: number): Promise<void> {
    this.#pod.lookAgainIn(delayMs);
    if (this.waiting?.reason === 'CrashLoopBackOff') return;
    const message = `back-off ${Math.round(delayMs / 1000)}s restarting failed container=${this.#name}`;
    this.waiting = { reason: 'CrashLoopBackOff', message };
    const text = `Back-off restarting failed container ${this.#name}`;
    await this.#pod.event(desired, 'Warning', 'BackOff', text);
  }

  async #start(
    desired: DesiredPod,
    container: Container,
    before: ContainerRun | undefined,
    deadlineBootMs: number | undefined,
  ): Promise<void> {
    const { runtime, preparer } = this.#dependencies;
    let platform: string;
    try {
      const prepared = await preparer.prepare(desired, container, this.#pod.record.ip);
      if (prepared.status === 'undecided') {
        this.waiting = { reason: 'ContainerCreating' };
        return;
      }
      if (prepared.status === 'pulling') {
        await this.#pulls(desired, container.image, prepared.progress);
        return;
      }
      if (prepared.status === 'unavailable') {
        await this.#cannotPull(desired, container.image, prepared.why);
        return;
      }
      const hasToldPulling = this.#pulling !== undefined;
      const isOther = before?.image !== container.image;
      const mustTell = isOther || hasToldPulling;
      if (mustTell && this.#toldFailure === undefined) {
        const text = hasToldPulling
          ? `Successfully pulled image "${container.image}"`
          : `Container image "${container.image}" already present on machine`;
        await this.#pod.event(desired, 'Normal', 'Pulled', text);
      }
      for (const warning of prepared.warnings) {
        await this.#pod.event(desired, 'Warning', 'InvalidVariableNames', warning);
      }
      ({ platform } = prepared);
      const chosen = runtime.runtimeFor(platform);
      if (chosen === undefined) {
        const text = `no runtime of this node runs images for ${prepared.platform}`;
        throw new AgentError('RUNTIME_START', text);
      }
      await chosen.start({
        ...prepared.start,
        restartCount: before === undefined ? 0 : before.restartCount + 1,
        ...(before?.exit === undefined ? {} : { last: before.exit }),
        ...(deadlineBootMs === undefined ? {} : { deadlineBootMs }),
      });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      await this.#cannotStart(desired, error);
      return;
    }
    this.waiting = undefined;
    this.#toldFailure = undefined;
    this.#pulling = undefined;
    const chosenFor = `as ${platform}, the first of ${runtime.platforms.join(', ')} on this node that the image has`;
    const created = `Created container ${container.name} ${chosenFor}`;
    await this.#pod.event(desired, 'Normal', 'Created', created);
    await this.#pod.event(desired, 'Normal', 'Started', `Started container ${container.name}`);
    const { run } = this;
    // It may have ended before anybody listened.
    if (run === undefined || run.exit !== undefined) this.#pod.lookAgainIn(0);
    else await this.#lookAfter(desired, container, run);
  }

  async #cannotStart(desired: DesiredPod, error: AgentError): Promise<void> {
    const isConfig = error.code === 'RUNTIME_BAD_COMMAND' || error.code === 'CONTAINER_CONFIG';
    const reason = isConfig ? 'CreateContainerConfigError' : 'RunContainerError';
    this.waiting = { reason, message: error.message };
    if (isConfig) {
      // What it lacks may come with any change: looked at each time, as that costs nothing.
      this.#pod.lookAgainIn(restartBackOff.firstMs);
    } else {
      this.#failuresInRow += 1;
      const delayMs = backOffDelayMs(restartBackOff, this.#failuresInRow);
      this.#retryAtMs = this.#dependencies.clock.monotonicMs() + delayMs;
      this.#pod.lookAgainIn(delayMs);
    }
    await this.#tellFailure(desired, `Error: ${error.message}`);
  }

  /** At once, and now and then how far it is, as long as it gets on. */
  async #pulls(
    desired: DesiredPod,
    reference: string,
    progress: PullProgress | undefined,
  ): Promise<void> {
    this.#pod.lookAgainIn(pullToldEveryMs);
    const isFirst = this.#pulling === undefined;
    const news = pullNews(
      this.#pulling,
      reference,
      progress,
      this.#dependencies.clock.monotonicMs(),
    );
    this.waiting ??= { reason: 'ContainerCreating' };
    if (news === undefined) return;
    this.#pulling = news.told;
    if (!isFirst) this.waiting = { reason: 'ContainerCreating', message: news.message };
    await this.#pod.event(desired, 'Normal', 'Pulling', news.message);
  }

  async #cannotPull(desired: DesiredPod, reference: string, why: string): Promise<void> {
    const isRepeated = this.#toldFailure !== undefined;
    this.waiting = {
      reason: isRepeated ? 'ImagePullBackOff' : 'ErrImagePull',
      message: isRepeated ? `Back-off pulling image "${reference}": ${why}` : why,
    };
    // The first failure is told as such; from the next look on it is a back-off.
    if (!isRepeated) this.#pod.lookAgainIn(1000);
    await this.#tellFailure(desired, `Failed to pull image "${reference}": ${why}`);
  }

  async #tellFailure(desired: DesiredPod, text: string): Promise<void> {
    if (this.#toldFailure === text) return;
    this.#toldFailure = text;
    await this.#pod.event(desired, 'Warning', 'Failed', text);
  }

  /**
   * Asks the run to end, and kills it when its time is over. False where nothing
   * runs. `regarding` is undefined where nobody knows the pod any more.
   */
  async stop(
    regarding: DesiredPod | undefined,
    container: Container | undefined,
    killAtMs: number,
    why = `Stopping container ${this.#name}`,
  ): Promise<boolean> {
    const { runtime, clock } = this.#dependencies;
    const { run } = this;
    if (run === undefined || run.exit !== undefined) return false;
    this.#care?.close();
    let stopping = this.#stopping;
    if (stopping?.runId !== run.containerId) {
      stopping = { runId: run.containerId, killAtMs, step: 'ask' };
      this.#stopping = stopping;
      if (regarding !== undefined) await this.#pod.event(regarding, 'Normal', 'Killing', why);
      if (regarding !== undefined) await this.#beginHook(stopping, regarding, container, run);
    }
    // Asked again, with less time.
    stopping.killAtMs = Math.min(stopping.killAtMs, killAtMs);
    const leftMs = stopping.killAtMs - clock.monotonicMs();
    if (leftMs <= 0) {
      await runtime.stop(run, 'kill');
      this.#pod.lookAgainIn(killAgainAfterMs);
      return true;
    }
    if (stopping.step === 'ask') {
      stopping.step = 'wait';
      await runtime.stop(run, 'graceful');
    }
    this.#pod.lookAgainIn(leftMs);
    return true;
  }

  async #beginHook(
    stopping: Stopping,
    regarding: DesiredPod,
    container: Container | undefined,
    run: ContainerRun,
  ): Promise<void> {
    const { actions, clock } = this.#dependencies;
    const action = container?.lifecycle?.preStop;
    const leftMs = stopping.killAtMs - clock.monotonicMs();
    const isBegun = this.#pod.knownRecord?.hooks?.[this.#name]?.preStop === run.containerId;
    if (action === undefined || isBegun || leftMs <= 0) return;
    await this.#pod.keepWhenRoom(this.#withHook({ preStop: run.containerId }));
    stopping.step = 'hook';
    const target = {
      key: { podUid: run.podUid, container: run.container },
      ip: run.ip,
      ports: container?.ports,
    };
    const tell = async ({ isSuccess, message }: ActionResult): Promise<void> => {
      stopping.step = 'ask';
      this.#pod.lookAgainIn(0);
      if (isSuccess) return;
      await this.#pod.event(
        regarding,
        'Warning',
        'FailedPreStopHook',
        `PreStopHook failed: ${message}`,
      );
    };
    performAction(actions, action, target, leftMs)
      .then(tell)
      .catch(() => this.#pod.lookAgainIn(0));
  }

  /** The time that a sidecar has at least, when `killAtMs` is the whole pod's. */
  lastKillAtMs(killAtMs: number, graceMs: number): number {
    const nowMs = this.#dependencies.clock.monotonicMs();
    return Math.max(killAtMs, nowMs + Math.min(graceMs, lastWordsMs));
  }

  /** The next stop is another one, with a grace of its own. */
  forgetStop(): void {
    this.#stopping = undefined;
  }
}
