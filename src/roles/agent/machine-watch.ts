/** Looks at the machine from time to time, says what it is short of, and lets a pod go for it. */
import { errorText } from '#base/mod.ts';
import type { Clock, Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { SampleMachine } from './machine.ts';
import type { NodeCondition } from './node-report.ts';
import {
  conditionsOf,
  evicted,
  evictionFor,
  isEnough,
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
  /** One that was told to go has not gone yet. */
  readonly isEvicting: () => boolean;
  /** Nobody has to go any more: who has not begun to stays. */
  readonly withdrawEvictions: () => void;
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
    // Asked first: what one that has gone gave back is then in the sample.
    const isEvicting = options.isEvicting();
    const sample = await options.sample();
    if (isClosed) return;
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    state = judgePressure(state, sample, options.diskBytes, now);
    await tell({ conditions: conditionsOf(state), power: sample.power });
    if (isEnough(state, now)) options.withdrawEvictions();
    const what = shortOf(state, now, isEvicting);
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

  /** A full disk has no room for what it would be told: pods go for it all the same. */
  async function tell(condition: NodeCondition): Promise<void> {
    try {
      await options.onChanged(condition);
    } catch (error) {
      const fields = { error: errorText(error) };
      logger.log('warn', 'what the machine is short of could not be reported yet', fields);
    }
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
