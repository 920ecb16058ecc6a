/**
 * Looks after the volumes of all pods of the node: they follow what they show, and
 * pods that have more on disk than they may are noticed.
 *
 * Invariants:
 * 1. One round of measuring begins only after the one before it has ended.
 * 2. Once a pod is found to be over its limit it stays so.
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
  let isClosed = false;
  let timer: Timer | undefined;

  async function measure(): Promise<void> {
    for (const pod of pods()) {
      if (isClosed) return;
      if ((pod.spec.volumes ?? []).length === 0 || overused.has(pod.uid)) continue;
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
  }

  function measureLater(): void {
    if (isClosed) return;
    timer = timers.after(measureEveryMs, () => void measure().then(measureLater));
  }
  measureLater();

  return {
    lookAgain(changed) {
      for (const pod of changed) {
        if ((pod.spec.volumes ?? []).length === 0) continue;
        volumes.refresh(pod).catch((error: unknown) => {
          const failure = { podUid: pod.uid, error: errorText(error) };
          logger.log('warn', 'volumes could not be brought up to date', failure);
        });
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
