/**
 * What is asked and done about one run of a container while it lives: its postStart
 * hook, then its startup probe, then liveness and readiness side by side.
 *
 * Invariants:
 * 1. Nothing is probed before the hook is done, and neither liveness nor readiness
 *    before the startup probe has passed.
 * 2. `onChange` is called only where somebody would now conclude something else.
 */
import { assert } from '#base/mod.ts';
import { type Container, podGraceSecondsOf, type Probe } from '#platform/api/mod.ts';
import type { Clock, Timers } from '#platform/io/mod.ts';
import type { ContainerRun } from '../runtimes/types.ts';
import { performAction, type ActionDependencies, type ActionResult } from './actions.ts';
import { startProber, type Prober } from './prober.ts';
import { firstStateOf, probeSettingsOf, type ProbeKind, type ProbeState } from './verdict.ts';

export interface CareDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly actions: ActionDependencies;
}

export interface CareNews {
  readonly severity: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Why a run must not go on. */
export interface CareVerdict {
  readonly message: string;
  /** Undefined: the pod's own. */
  readonly graceMs: number | undefined;
}

export interface RunCare {
  readonly runId: string;
  readonly hasStarted: boolean;
  readonly isReady: boolean;
  readonly verdict: CareVerdict | undefined;
  /** What has happened since this was last asked. */
  takeNews(): readonly CareNews[];
  close(): void;
}

export interface CareStart {
  readonly container: Container;
  readonly run: ContainerRun;
  /** What an earlier agent has said of this very run. */
  readonly known: { readonly hasStarted: boolean; readonly isReady: boolean };
  /** The hook was begun for this run before; whether it came to an end nobody knows. */
  readonly isHookBegun: boolean;
  readonly onChange: () => void;
}

/** A hook has no time of its own; one that takes longer than this is taken for failed. */
const postStartTimeoutMs = 30 * 60_000;
const newsMax = 16;
/** Different messages in one row of failures; some workloads never say the same thing twice. */
const toldInRowMax = 4;

export function startCare(dependencies: CareDependencies, start: CareStart): RunCare {
  const { clock, timers, actions } = dependencies;
  const { container, run, known, onChange } = start;
  const { livenessProbe, readinessProbe, startupProbe } = container;
  const target = {
    key: { podUid: run.podUid, container: run.container },
    ip: run.ip,
    ports: container.ports,
  };
  const news: CareNews[] = [];
  const probers: Prober[] = [];
  const toldInRow = new Map<ProbeKind, readonly string[]>();
  let isClosed = false;
  let hasStarted = false;
  let isReady = false;
  let verdict: CareVerdict | undefined;

  function tell(severity: CareNews['severity'], reason: string, message: string): void {
    if (news.length < newsMax) news.push({ severity, reason, message });
  }

  function probe(
    kind: ProbeKind,
    asked: Probe,
    first: ProbeState,
    onVerdict: (holds: boolean, prober: Prober) => void,
  ): void {
    const settings = probeSettingsOf(asked);
    // The delay counts from the start of the run, whoever started it.
    const delayMs = settings.initialDelayMs - Math.max(0, clock.wallMs() - run.startedAtMs);
    const prober = startProber({ clock, timers }, settings, {
      first,
      delayMs,
      ask: (timeoutMs) => performAction(actions, asked, target, timeoutMs),
      onResult(before, result) {
        const { state } = prober;
        const isNews = noteFailure(kind, before, state, result);
        const isChanged = state.holds !== before.holds;
        if (isChanged && state.holds !== undefined) onVerdict(state.holds, prober);
        if (isChanged || isNews) onChange();
      },
    });
    probers.push(prober);
  }

  /** What is new of a row of failures is told, up to a bound; and what has consequences. */
  function noteFailure(
    kind: ProbeKind,
    before: ProbeState,
    state: ProbeState,
    { isSuccess, message }: ActionResult,
  ): boolean {
    if (isSuccess || before.failuresInRow === 0) toldInRow.delete(kind);
    if (isSuccess) return false;
    const told = toldInRow.get(kind) ?? [];
    const isNews = told.length < toldInRowMax && !told.includes(message);
    if (!isNews && state.holds === before.holds) return false;
    toldInRow.set(kind, [...told, message]);
    tell('Warning', 'Unhealthy', `${kind} probe failed: ${message}`);
    return true;
  }

  function condemn(kind: ProbeKind, { terminationGracePeriodSeconds: seconds }: Probe): void {
    verdict = {
      message: `Container ${container.name} failed ${kind.toLowerCase()} probe, will be restarted`,
      graceMs: seconds === undefined ? undefined : podGraceSecondsOf(seconds) * 1000,
    };
    close();
  }

  function begunWell(): void {
    hasStarted = true;
    isReady = readinessProbe === undefined || known.isReady;
    if (livenessProbe !== undefined) {
      probe('Liveness', livenessProbe, firstStateOf('Liveness'), (holds) => {
        if (!holds) condemn('Liveness', livenessProbe);
      });
    }
    if (readinessProbe !== undefined) {
      const first = { ...firstStateOf('Readiness'), holds: known.isReady };
      probe('Readiness', readinessProbe, first, (holds) => {
        isReady = holds;
      });
    }
  }

  function startUp(): void {
    if (startupProbe === undefined || known.hasStarted) {
      begunWell();
      return;
    }
    probe('Startup', startupProbe, firstStateOf('Startup'), (holds, prober) => {
      if (!holds) {
        condemn('Startup', startupProbe);
        return;
      }
      prober.close();
      begunWell();
    });
  }

  async function hook(): Promise<void> {
    const action = container.lifecycle?.postStart;
    assert(action !== undefined, 'there is a hook to run');
    const result = await performAction(actions, action, target, postStartTimeoutMs);
    if (isClosed) return;
    if (result.isSuccess) {
      startUp();
    } else {
      const message = `PostStartHook failed: ${result.message}`;
      tell('Warning', 'FailedPostStartHook', message);
      verdict = { message, graceMs: undefined };
      close();
    }
    onChange();
  }

  function close(): void {
    isClosed = true;
    for (const prober of probers.splice(0)) prober.close();
  }

  if (container.lifecycle?.postStart === undefined || known.hasStarted || start.isHookBegun) {
    startUp();
  } else {
    void hook();
  }

  return {
    runId: run.containerId,
    get hasStarted() {
      return hasStarted;
    },
    get isReady() {
      return isReady && verdict === undefined;
    },
    get verdict() {
      return verdict;
    },
    takeNews: () => news.splice(0),
    close,
  };
}
