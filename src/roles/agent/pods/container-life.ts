/**
 * The life of one container of a pod: its runs one after the other, and the waits
 * between them. The pod says when it may run at all; this says what is missing
 * until it does.
 *
 * Invariants:
 * 1. It is started again only after its last run's end was read, with a restart
 *    count one higher.
 * 2. The end of a run is counted once, and on disk before the wait after it begins.
 */
import { assert } from '#base/mod.ts';
import type { Container } from '#platform/api/mod.ts';
import type { Clock } from '#platform/io/mod.ts';
import { backOffDelayMs, restartBackOff, restartForgivenAfterMs } from '../back-off.ts';
import { AgentError } from '../errors.ts';
import type { RuntimeSet } from '../runtimes/runtime-set.ts';
import type { ContainerRun } from '../runtimes/types.ts';
import type { DesiredPod } from './desired-pod.ts';
import type { PodHandle } from './pod-handle.ts';
import type { BackOffRecord } from './pod-record.ts';
import type { Waiting } from './pod-status.ts';
import type { Preparer } from './prepare.ts';

export interface ContainerLifeDependencies {
  readonly runtime: RuntimeSet;
  readonly preparer: Preparer;
  readonly clock: Clock;
}

const killAgainAfterMs = 2_000;

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
  /** Set while it is being stopped. */
  #killAtMs: number | undefined;
  #hasToldPulling = false;
  /** The last failure that was told as an event. */
  #toldFailure: string | undefined;

  constructor(dependencies: ContainerLifeDependencies, pod: PodHandle, name: string) {
    this.#dependencies = dependencies;
    this.#pod = pod;
    this.#name = name;
    const kept = pod.knownRecord?.backOff?.[name];
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

  /** Makes it run, or says why it does not yet. `deadlineBootMs` as in ContainerStart. */
  async attend(
    desired: DesiredPod,
    container: Container,
    deadlineBootMs: number | undefined,
  ): Promise<void> {
    const { clock } = this.#dependencies;
    const { run } = this;
    if (run !== undefined && run.exit === undefined) {
      this.waiting = undefined;
      return;
    }
    if (run?.exit !== undefined) {
      const { restartPolicy } = desired;
      const isOver =
        restartPolicy === 'Never' || (restartPolicy === 'OnFailure' && run.exit.exitCode === 0);
      if (isOver) {
        this.waiting = undefined;
        return;
      }
      if (this.#endedRunId !== run.containerId) await this.#noteEnd(desired, run);
      const delayMs = this.#retryAtMs - clock.monotonicMs();
      if (delayMs > 0) {
        await this.#backOff(desired, delayMs);
        return;
      }
    }
    await this.#start(desired, container, run, deadlineBootMs);
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
    try {
      const prepared = await preparer.prepare(desired, container, this.#pod.record.ip);
      if (prepared.status === 'pulling') {
        await this.#pulls(desired, container.image);
        return;
      }
      if (prepared.status === 'unavailable') {
        await this.#cannotPull(desired, container.image, prepared.why);
        return;
      }
      if (before === undefined && this.#toldFailure === undefined) {
        const text = this.#hasToldPulling
          ? `Successfully pulled image "${container.image}"`
          : `Container image "${container.image}" already present on machine`;
        await this.#pod.event(desired, 'Normal', 'Pulled', text);
      }
      const chosen = runtime.runtimeFor(prepared.platform);
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
    this.#hasToldPulling = false;
    await this.#pod.event(desired, 'Normal', 'Created', `Created container ${container.name}`);
    await this.#pod.event(desired, 'Normal', 'Started', `Started container ${container.name}`);
    // It may have ended before anybody listened.
    if (!this.isRunning) this.#pod.lookAgainIn(0);
  }

  async #cannotStart(desired: DesiredPod, error: AgentError): Promise<void> {
    const isConfig = error.code === 'RUNTIME_BAD_COMMAND' || error.code === 'CONTAINER_CONFIG';
    const reason = isConfig ? 'CreateContainerConfigError' : 'RunContainerError';
    this.waiting = { reason, message: error.message };
    this.#failuresInRow += 1;
    const delayMs = backOffDelayMs(restartBackOff, this.#failuresInRow);
    this.#retryAtMs = this.#dependencies.clock.monotonicMs() + delayMs;
    this.#pod.lookAgainIn(delayMs);
    await this.#tellFailure(desired, `Error: ${error.message}`);
  }

  async #pulls(desired: DesiredPod, reference: string): Promise<void> {
    this.waiting ??= { reason: 'ContainerCreating' };
    if (this.#hasToldPulling) return;
    this.#hasToldPulling = true;
    await this.#pod.event(desired, 'Normal', 'Pulling', `Pulling image "${reference}"`);
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

  /** Asks the run to end, kills it when the grace is over. False where nothing ran. */
  async stop(regarding: DesiredPod | undefined, graceMs: number): Promise<boolean> {
    const { runtime, clock } = this.#dependencies;
    const { run } = this;
    if (run === undefined || run.exit !== undefined) return false;
    const nowMs = clock.monotonicMs();
    if (this.#killAtMs === undefined) {
      this.#killAtMs = nowMs + graceMs;
      if (regarding !== undefined) {
        const text = `Stopping container ${this.#name}`;
        await this.#pod.event(regarding, 'Normal', 'Killing', text);
      }
      if (graceMs > 0) await runtime.stop(run, 'graceful');
    } else if (nowMs + graceMs < this.#killAtMs) {
      // Deleted again, with less grace.
      this.#killAtMs = nowMs + graceMs;
    }
    if (nowMs >= this.#killAtMs) {
      await runtime.stop(run, 'kill');
      this.#pod.lookAgainIn(killAgainAfterMs);
    } else {
      this.#pod.lookAgainIn(this.#killAtMs - nowMs);
    }
    return true;
  }

  /** The next stop is another one, with a grace of its own. */
  forgetStop(): void {
    this.#killAtMs = undefined;
  }
}
