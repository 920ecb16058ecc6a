/** Looks at the machine from time to time, says what it is short of, and lets a pod go for it. */
import { errorText } from '#base/mod.ts';
import type { Clock, Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { SampleMachine } from './machine.ts';
import type { NodeCondition } from './node-report.ts';
import {
  conditionsOf,
  evicted,
  evictionFor,
  judgePressure,
  noPressure,
  type PodUsage,
  type RunningPod,
  shortOf,
} from './pressure.ts';

const lookEveryMs = 5_000;

export interface MachineWatchOptions {
  readonly sample: SampleMachine;
  /** Of the whole disk; 0 where that is not known. */
  readonly diskBytes: number;
  readonly pods: () => readonly RunningPod[];
  /** What each has on the node's disk; asked only when that is short. */
  readonly podDiskBytes: () => Promise<PodUsage>;
  /** Gives back what no pod needs; answers whether that was anything. */
  readonly reclaimDisk: () => Promise<boolean>;
  readonly evict: (uid: string, message: string) => void;
  readonly onChanged: (now: NodeCondition) => Promise<void>;
}

/** Begins with a look. */
export function watchMachine(
  ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger },
  options: MachineWatchOptions,
): { close(): void } {
  const { clock, timers, logger } = ports;
  let state = noPressure({ monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() });
  let timer: Timer | undefined;
  let isClosed = false;

  async function look(): Promise<void> {
    const sample = await options.sample();
    if (isClosed) return;
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    state = judgePressure(state, sample, options.diskBytes, now);
    await options.onChanged({ conditions: conditionsOf(state), power: sample.power });
    const what = shortOf(state, now);
    if (what === undefined) return;
    // What nobody needs goes before anybody: the next look sees what that gave back.
    if (what === 'disk' && (await options.reclaimDisk())) return;
    const usage = what === 'memory' ? sample.podMemoryBytes : await options.podDiskBytes();
    const eviction = isClosed ? undefined : evictionFor(what, usage, options.pods());
    if (eviction === undefined) return;
    state = evicted(state, now);
    logger.log('warn', `a pod goes for want of ${what}`, { podUid: eviction.uid });
    options.evict(eviction.uid, eviction.message);
  }

  function loop(): void {
    look()
      .catch((error: unknown) => {
        logger.log('warn', 'the machine could not be looked at', { error: errorText(error) });
      })
      .finally(() => {
        if (!isClosed) timer = timers.after(lookEveryMs, loop);
      });
  }

  loop();
  return {
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}
