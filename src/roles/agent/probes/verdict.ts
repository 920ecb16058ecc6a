/** What results of a probe mean, one after the other. Pure; who asks, and when, is the prober's. */
import type { Probe } from '#platform/api/mod.ts';

export type ProbeKind = 'Startup' | 'Liveness' | 'Readiness';

export interface ProbeSettings {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export interface ProbeState {
  /** Undefined: not known yet. */
  readonly holds: boolean | undefined;
  readonly successesInRow: number;
  readonly failuresInRow: number;
}

/** What is not given, as the API's reference says it. */
export function probeSettingsOf(probe: Probe): ProbeSettings {
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: Math.max(1, probe.periodSeconds ?? 10) * 1000,
    timeoutMs: Math.max(1, probe.timeoutSeconds ?? 1) * 1000,
    successThreshold: Math.max(1, probe.successThreshold ?? 1),
    failureThreshold: Math.max(1, probe.failureThreshold ?? 3),
  };
}

/** Before the first result: alive until shown otherwise, ready only when shown. */
export function firstStateOf(kind: ProbeKind): ProbeState {
  const holds = { Startup: undefined, Liveness: true, Readiness: false }[kind];
  return { holds, successesInRow: 0, failuresInRow: 0 };
}

export function probeVerdict(
  state: ProbeState,
  isSuccess: boolean,
  { successThreshold, failureThreshold }: ProbeSettings,
): ProbeState {
  if (isSuccess) {
    const successesInRow = Math.min(state.successesInRow + 1, successThreshold);
    const holds = successesInRow === successThreshold ? true : state.holds;
    return { holds, successesInRow, failuresInRow: 0 };
  }
  const failuresInRow = Math.min(state.failuresInRow + 1, failureThreshold);
  const holds = failuresInRow === failureThreshold ? false : state.holds;
  return { holds, successesInRow: 0, failuresInRow };
}
