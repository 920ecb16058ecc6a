/**
 * Whether the machine runs short of memory, disk or processes, and which pod goes then.
 * Pure: samples go in, conditions and at most one eviction come out.
 *
 * Invariants:
 * 1. A condition that has become True stays so until all was well for `calmMs`: a
 *    machine at the edge does not take pods and lose them in turn.
 * 2. For want of memory or disk at most one pod goes in `evictionPauseMs`, so that what
 *    it gave back is seen before another goes; for memory first, which runs out sooner.
 *    While the last one has not gone nobody else does, unless it takes longer than any can.
 * 3. First go those that use more than they asked for, which is all that asked for
 *    nothing; among them, and among the others after them, those of less priority; then
 *    those that are furthest above what they asked for. The same pods in any order give
 *    the same answer.
 */
import {
  type Condition,
  isSidecar,
  milliUnitsOf,
  type PodSpec,
  tryParseQuantity,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { MachineSample } from './machine.ts';

const mebibyte = 1024 * 1024;
const memoryAvailableBytesMin = 100 * mebibyte;
const diskFreePartMin = 0.05;
const diskFreeBytesEnough = 10 * 1024 * mebibyte;
const processesPartMax = 0.9;
const calmMs = 60_000;
const evictionPauseMs = 15_000;
/** Twice as long as one that is evicted is given: it cannot be ended. */
const evictionWaitMsMax = 60_000;

export type PressureType = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

export interface PressureState {
  readonly holds: Readonly<Record<PressureType, boolean>>;
  /** When it changed last, as people read it. */
  readonly since: Readonly<Record<PressureType, string>>;
  /** On the monotonic clock: when it was last seen to be short. */
  readonly lastShortMs: Readonly<Record<PressureType, number>>;
  readonly lastEvictionMs: number;
}

export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

const types: readonly PressureType[] = ['MemoryPressure', 'DiskPressure', 'PIDPressure'];

export function noPressure({ wallMs }: Moment): PressureState {
  const at = timestampOf(wallMs);
  return {
    holds: { MemoryPressure: false, DiskPressure: false, PIDPressure: false },
    since: { MemoryPressure: at, DiskPressure: at, PIDPressure: at },
    lastShortMs: {
      MemoryPressure: -Infinity,
      DiskPressure: -Infinity,
      PIDPressure: -Infinity,
    },
    lastEvictionMs: -Infinity,
  };
}

/** `diskBytes`: of the whole disk; 0 where that is not known. */
export function judgePressure(
  before: PressureState,
  sample: MachineSample,
  diskBytes: number,
  now: Moment,
): PressureState {
  const isShort = shortages(sample, diskBytes);
  const holds = { ...before.holds };
  const since = { ...before.since };
  const lastShortMs = { ...before.lastShortMs };
  for (const type of types) {
    if (isShort[type]) lastShortMs[type] = now.monotonicMs;
    const next = isShort[type] || (holds[type] && now.monotonicMs - lastShortMs[type] < calmMs);
    if (next === holds[type]) continue;
    holds[type] = next;
    since[type] = timestampOf(now.wallMs);
  }
  return { ...before, holds, since, lastShortMs };
}

function shortages(sample: MachineSample, diskBytes: number): Record<PressureType, boolean> {
  const { memoryAvailableBytes, diskFreeBytes, processes } = sample;
  const diskMin = Math.min(diskBytes * diskFreePartMin, diskFreeBytesEnough);
  return {
    MemoryPressure:
      memoryAvailableBytes !== undefined && memoryAvailableBytes < memoryAvailableBytesMin,
    DiskPressure: diskFreeBytes !== undefined && diskBytes > 0 && diskFreeBytes < diskMin,
    PIDPressure: processes !== undefined && processes.used > processes.max * processesPartMax,
  };
}

const words: Readonly<Record<PressureType, readonly [well: string, short: string, what: string]>> =
  {
    MemoryPressure: ['SufficientMemory', 'InsufficientMemory', 'memory'],
    DiskPressure: ['SufficientDisk', 'InsufficientDisk', 'disk'],
    PIDPressure: ['SufficientPID', 'InsufficientPID', 'process ids'],
  };

export function conditionsOf({ holds, since }: PressureState): readonly Condition[] {
  return types.map((type) => {
    const [well, short, what] = words[type];
    return {
      type,
      status: holds[type] ? 'True' : 'False',
      reason: holds[type] ? short : well,
      message: `the node ${holds[type] ? 'is short of' : 'has enough'} ${what}`,
      lastTransitionTime: since[type],
    };
  });
}

export interface RunningPod {
  readonly uid: string;
  readonly spec: Pick<PodSpec, 'containers' | 'initContainers' | 'priority'>;
}

/** What a pod can give back by going: by its uid, in bytes. */
export type PodUsage = ReadonlyMap<string, number>;

/** There is room enough at this moment, whatever the conditions still say. */
export function isEnough({ lastShortMs }: PressureState, now: Moment): boolean {
  return ![lastShortMs.MemoryPressure, lastShortMs.DiskPressure].includes(now.monotonicMs);
}

/**
 * What pods have to go for at this moment; undefined where nobody has to. `isEvicting`:
 * the last one has not gone yet.
 */
export function shortOf(
  state: PressureState,
  now: Moment,
  isEvicting: boolean,
): 'memory' | 'disk' | undefined {
  const waitMs = isEvicting ? evictionWaitMsMax : evictionPauseMs;
  if (now.monotonicMs - state.lastEvictionMs < waitMs) return undefined;
  if (state.lastShortMs.MemoryPressure === now.monotonicMs) return 'memory';
  return state.lastShortMs.DiskPressure === now.monotonicMs ? 'disk' : undefined;
}

const requestOf = { memory: 'memory', disk: 'ephemeral-storage' } as const;

/** Who goes for it, with what is said to it; undefined where no pod has any of it. */
export function evictionFor(
  what: 'memory' | 'disk',
  usage: PodUsage,
  pods: readonly RunningPod[],
): { readonly uid: string; readonly message: string } | undefined {
  const ranked = pods
    .map(({ uid, spec }) => {
      const usedBytes = usage.get(uid) ?? 0;
      const askedBytes = requestedBytes(spec, requestOf[what]);
      return {
        uid,
        usedBytes,
        askedBytes,
        overBytes: usedBytes - askedBytes,
        priority: spec.priority ?? 0,
      };
    })
    .filter(({ usedBytes }) => usedBytes > 0)
    .toSorted(
      (left, right) =>
        Number(right.overBytes > 0) - Number(left.overBytes > 0) ||
        left.priority - right.priority ||
        right.overBytes - left.overBytes ||
        (left.uid < right.uid ? -1 : 1),
    );
  const [first] = ranked;
  if (first === undefined) return undefined;
  const used = Math.round(first.usedBytes / mebibyte);
  const asked = Math.round(first.askedBytes / mebibyte);
  return {
    uid: first.uid,
    message: `The node was low on ${what}: the pod used ${used}Mi and had asked for ${asked}Mi`,
  };
}

export function evicted(state: PressureState, now: Moment): PressureState {
  return { ...state, lastEvictionMs: now.monotonicMs };
}

/** Of containers and sidecars: what runs as long as the pod does. */
function requestedBytes(
  { containers, initContainers = [] }: RunningPod['spec'],
  resource: 'memory' | 'ephemeral-storage',
): number {
  return [...initContainers.filter(isSidecar), ...containers].reduce((sum, { resources }) => {
    const text = resources?.requests?.[resource];
    const quantity = text === undefined ? undefined : tryParseQuantity(text);
    return sum + (quantity === undefined ? 0 : milliUnitsOf(quantity) / 1000);
  }, 0);
}
