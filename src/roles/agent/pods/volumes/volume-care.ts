/**
 * Looks after the volumes of all pods of the node: they follow what they show, and
 * pods that have more on disk than they may are noticed.
 *
 * Invariants:
 * 1. One round of measuring begins only after the one before it has ended.
 * 2. Of one pod at most one change is brought in at a time; the newest is next.
 * 3. Once a pod is found to be over its limit it stays so.
 */
import { errorText } from '#base/mod.ts';
import type { Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { PodFacts } from '../pod-fields.ts';
import type { PodVolumes } from './pod-volumes.ts';

export interface VolumeCare {
  /** Something that volumes show may have changed. */
  lookAgain(pods: readonly PodFacts[]): void;
  /** Why the pod has to go; undefined where it may stay. */
  overuse(podUid: string): string | undefined;
  forget(podUid: string): void;
  close(): void;
}

const measureEveryMs = 10_000;

/** `pods`: those that run here. `onOveruse` is called once for a pod. */
export function careForVolumes(
  { volumes, timers, logger }: { volumes: PodVolumes; timers: Timers; logger: Logger },
  pods: () => readonly PodFacts[],
  onOveruse: (podUid: string) => void,
): VolumeCare {
  const overused = new Map<string, string>();
  /** The newest that is known of a pod, until it is its turn. */
  const waiting = new Map<string, PodFacts>();
  const refreshing = new Set<string>();
  let isClosed = false;
  let timer: Timer | undefined;

  /** Answers whether there is anything to measure again. */
  async function measure(): Promise<boolean> {
    const measured = pods().filter((pod) => usesDisk(pod) && !overused.has(pod.uid));
    for (const pod of measured) {
      if (isClosed) return false;
      try {
        const why = await volumes.overuse(pod);
        if (why === undefined) continue;
        overused.set(pod.uid, why);
        onOveruse(pod.uid);
      } catch (error) {
        const failure = { podUid: pod.uid, error: errorText(error) };
        logger.log('warn', 'volumes could not be measured', failure);
      }
    }
    return measured.length > 0;
  }

  async function refresh(podUid: string): Promise<void> {
    refreshing.add(podUid);
    for (let pod = waiting.get(podUid); pod !== undefined; pod = waiting.get(podUid)) {
      waiting.delete(podUid);
      await volumes.refresh(pod).catch((error: unknown) => {
        const failure = { podUid, error: errorText(error) };
        logger.log('warn', 'volumes could not be brought up to date', failure);
      });
    }
    refreshing.delete(podUid);
  }

  /** A node whose pods have no volumes has nothing to wake up for. */
  function measureLater(): void {
    if (isClosed || timer !== undefined) return;
    timer = timers.after(measureEveryMs, () => {
      void measure().then((isMore) => {
        timer = undefined;
        if (isMore) measureLater();
      });
    });
  }

  return {
    lookAgain(changed) {
      for (const pod of changed.filter(usesDisk)) {
        measureLater();
        waiting.set(pod.uid, pod);
        if (!refreshing.has(pod.uid)) void refresh(pod.uid);
      }
    },
    overuse: (podUid) => overused.get(podUid),
    forget: (podUid) => void overused.delete(podUid),
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}

/** It has volumes, or its logs are counted against a limit. */
function usesDisk({ spec }: PodFacts): boolean {
  return (
    (spec.volumes ?? []).length > 0 ||
    spec.containers.every(({ resources }) => resources?.limits?.['ephemeral-storage'] !== undefined)
  );
}
