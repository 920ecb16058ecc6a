/**
 * Serves `node.usage`: what this machine and the containers on it use, measured when the
 * hub asks and never otherwise, as an idle link carries nothing.
 *
 * Invariant: the use of processors is over at least `windowMsMin`: since the last time
 * that somebody asked, or between two looks now.
 */
import { errorText, utf8 } from '#base/mod.ts';
import { type Clock, sleep, type Timers } from '#platform/io/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import type { ContainerRun } from './runtimes/types.ts';

/** A running container to be looked at, by its outermost process. */
export interface MeasuredContainer {
  readonly podUid: string;
  readonly container: string;
  readonly pid: number;
}

export interface UsageAmount {
  /** Since it was started. */
  readonly cpuNanos: number;
  /** Without what the kernel would give back at once. */
  readonly memoryBytes: number;
}

/** The machine at one moment. A container of which nothing can be told is absent. */
export interface UsageSample {
  readonly node: UsageAmount;
  /** By `podUid/container`. */
  readonly containers: ReadonlyMap<string, UsageAmount>;
}

export type SampleUsage = (containers: readonly MeasuredContainer[]) => Promise<UsageSample>;

export interface NodeUsageDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Absent: this machine tells nothing, and whoever asks hears that. */
  readonly sample: SampleUsage | undefined;
  readonly runs: () => readonly ContainerRun[];
}

const windowMsMin = 1_000;
const windowMsMax = 60_000;

interface Taken {
  readonly atMs: number;
  readonly sample: UsageSample;
}

/** A handler of the streams that the hub opens. */
export function createNodeUsage({
  clock,
  timers,
  sample,
  runs,
}: NodeUsageDependencies): (
  parameters: Readonly<Record<string, unknown>>,
  stream: LinkStream,
) => void {
  let last: Taken | undefined;
  let measuring: Promise<Uint8Array> | undefined;

  async function take(look: SampleUsage): Promise<Taken> {
    const running = runs().flatMap(({ podUid, container, process, exit }) =>
      exit === undefined && process !== undefined ? [{ podUid, container, pid: process.pid }] : [],
    );
    const taken = await look(running);
    return { atMs: clock.monotonicMs(), sample: taken };
  }

  async function measure(look: SampleUsage): Promise<Uint8Array> {
    let before = last;
    const ageMs = before === undefined ? Infinity : clock.monotonicMs() - before.atMs;
    if (before === undefined || ageMs < windowMsMin || ageMs > windowMsMax) {
      before = await take(look);
      await sleep(timers, windowMsMin);
    }
    const now = await take(look);
    last = now;
    return utf8(JSON.stringify(answerOf(before, now)));
  }

  return (_parameters, stream) => {
    stream.onMessage(() => undefined);
    stream.onClose(() => undefined);
    if (sample === undefined) {
      const message = 'this node does not measure what is used on it';
      stream.fail({ code: 'USAGE_UNKNOWN', message });
      return;
    }
    // Who asks meanwhile gets the same answer.
    measuring ??= measure(sample).finally(() => {
      measuring = undefined;
    });
    measuring
      .then(async (bytes) => {
        await stream.send(bytes);
        stream.end();
      })
      .catch((error: unknown) => {
        stream.fail({ code: 'USAGE_FAILED', message: errorText(error) });
      });
  };
}

/** As it travels: `[podUid, container, cpuNanoCores, memoryBytes]` for each container. */
export interface UsageAnswer {
  readonly windowMs: number;
  readonly node: readonly [cpuNanoCores: number, memoryBytes: number];
  readonly containers: readonly (readonly [string, string, number, number])[];
}

export function answerOf(before: Taken, now: Taken): UsageAnswer {
  const windowMs = now.atMs - before.atMs;
  const rate = (first: UsageAmount | undefined, second: UsageAmount): number => {
    // It was started anew, or has only now been started: all of its time is of this window.
    const began = first === undefined || first.cpuNanos > second.cpuNanos ? 0 : first.cpuNanos;
    return Math.round(((second.cpuNanos - began) * 1_000) / windowMs);
  };
  const { node, containers } = now.sample;
  return {
    windowMs: Math.round(windowMs),
    node: [rate(before.sample.node, node), node.memoryBytes],
    containers: [...containers].map(([key, amount]) => {
      const slash = key.indexOf('/');
      const cpu = rate(before.sample.containers.get(key), amount);
      return [key.slice(0, slash), key.slice(slash + 1), cpu, amount.memoryBytes] as const;
    }),
  };
}
