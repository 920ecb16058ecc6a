/**
 * A world: machines with their ports over one virtual time, one network and one
 * seed. Two worlds of the same seed that are driven alike end with the same trace.
 */
import { assert } from '#base/mod.ts';
import type { Clock, HostTurns, Timers } from '#platform/io/mod.ts';
import { SimulationError } from './errors.ts';
import { Host, type WorldLogLine } from './host.ts';
import { Kernel } from './kernel.ts';
import { seededRandom, type SeededRandom } from './seeded-random.ts';
import { clockFaceAt, simClock, simTimers } from './sim-clock.ts';
import type { KeyRing } from './sim-keys.ts';
import { Network, type NetCounts, type Weather } from './sim-net.ts';
import { defaultProgram, type SimPrograms } from './sim-spawn.ts';

const hostsMax = 50_000;

export interface WorldOptions {
  /** An integer; everything that happens follows from it. */
  readonly seed: number;
  /** One turn of the host's event loop, after which every microtask has run. */
  readonly drainMicrotasks: () => Promise<void>;
  /** Does the same within one turn, many times as fast. What happens is the same, and so is the trace. */
  readonly turns?: HostTurns | undefined;
  /** Sees every line of the trace, to find where two runs part. */
  readonly traceSink?: (line: string) => void;
  readonly onLog?: (line: WorldLogLine) => void;
}

/** What a scenario can do to the network. The faults of disks and clocks are with each host. */
export interface WorldFaults {
  /** Cuts both ways, or only what goes from `a` to `b`. */
  partition(a: string, b: string, mode: 'both' | 'one-way'): void;
  /** Heals one pair, or everything. */
  heal(a?: string, b?: string): void;
  /** Gives how many connections were open. */
  resetConnections(a: string, b: string): number;
  /**
   * Has a box in the middle forget the open connections: nothing passes on them any
   * more and no side is told; new ones work. Gives how many there were.
   */
  silenceConnections(a: string, b: string): number;
  setLatency(a: string, b: string, latencyMs: number): void;
  isCut(from: string, to: string): boolean;
  /** What happens to messages everywhere; may be changed at any time. */
  readonly weather: Weather;
}

export interface World {
  readonly seed: number;
  /** Virtual time since the world began; its wall clock is never wrong. */
  readonly clock: Clock;
  /** For the scenario itself: these timers survive every host. */
  readonly timers: Timers;
  readonly faults: WorldFaults;
  /** Asked in order; the last one takes everything and runs until a signal comes. */
  readonly programs: SimPrograms;
  readonly netCounts: Readonly<NetCounts>;
  /** A stream of its own for the scenario. */
  random(name: string): SeededRandom;
  /** The machine of that name, made and switched on at the first call. */
  host(name: string): Host;
  hosts(): readonly Host[];
  run(untilMs: number): Promise<void>;
  /** False when `predicate` does not hold within `limitMs` from now. */
  runUntil(predicate: () => boolean, limitMs: number): Promise<boolean>;
  /** Runs until the promise settles; throws SIM_STUCK when it does not within `limitMs`. */
  settle<Result>(work: Promise<Result>, limitMs: number): Promise<Result>;
  /** 64 hexadecimal digits over every event until now. */
  traceHash(): string;
  eventCount(): number;
}

export function createWorld(options: WorldOptions): World {
  const kernel = new Kernel(options);
  const { seed } = options;
  const keyRing: KeyRing = new Map();
  const network = new Network(kernel, seededRandom(seed, 'net'), keyRing);
  const hosts = new Map<string, Host>();
  const programs: SimPrograms = [defaultProgram];
  const note = (what: string, ...details: readonly (string | number | undefined)[]): void =>
    kernel.note('world', what, details.join(' '));

  const runUntil = (predicate: () => boolean, limitMs: number): Promise<boolean> =>
    kernel.runUntil(predicate, limitMs);

  return {
    seed,
    clock: simClock(kernel, clockFaceAt(0)),
    timers: simTimers(kernel, undefined),
    programs,
    netCounts: network.counts,
    faults: {
      partition: (a, b, mode) => {
        note('partition', a, b, mode);
        network.cut(a, b);
        if (mode === 'both') network.cut(b, a);
      },
      heal: (a, b) => {
        note('heal', a, b);
        network.heal(a, b);
      },
      resetConnections: (a, b) => {
        note('reset', a, b);
        return network.resetConnections(a, b);
      },
      silenceConnections: (a, b) => {
        note('silence', a, b);
        return network.silenceConnections(a, b);
      },
      setLatency: (a, b, latencyMs) => network.setLatency(a, b, latencyMs),
      isCut: (from, to) => network.isCut(from, to),
      weather: network.weather,
    },
    random: (name) => seededRandom(seed, `scenario ${name}`),
    host: (name) => {
      const found = hosts.get(name);
      if (found !== undefined) return found;
      assert(hosts.size < hostsMax, `no more than ${hostsMax} hosts`);
      assert(/^[a-z0-9][a-z0-9.-]*$/.test(name), `${name} can be a host's name`);
      const host = new Host({
        kernel,
        network,
        keyRing,
        programs,
        name,
        number: hosts.size + 1,
        onLog: options.onLog,
      });
      hosts.set(name, host);
      return host;
    },
    hosts: () => [...hosts.values()],
    run: (untilMs) => kernel.run(untilMs),
    runUntil,
    settle: async (work, limitMs) => {
      let isSettled = false;
      const watched = work.finally(() => {
        isSettled = true;
      });
      // The rejection is the caller's to see, below; until then nobody listens.
      watched.catch(() => {});
      if (!(await runUntil(() => isSettled, limitMs))) {
        const why = `seed ${seed}: a promise did not settle within ${limitMs} ms`;
        throw new SimulationError('SIM_STUCK', why);
      }
      return await watched;
    },
    traceHash: () => kernel.trace.digest(),
    eventCount: () => kernel.eventNumber,
  };
}
