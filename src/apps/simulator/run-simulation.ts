/**
 * One simulation: a fleet is founded, gets work, is troubled for a while, healed,
 * and must then be what was declared.
 */
import { assert } from '#base/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { createWorld, type World, type WorldOptions } from '#platform/sim/mod.ts';
import type { CheckCounts } from './checkers.ts';
import { requireConvergence, requireSameStateFromLog } from './checks.ts';
import { Fleet } from './fleet.ts';
import { paces } from './pace.ts';
import type { Sabotage } from './sabotages.ts';
import { Scenario, type ScenarioCounts } from './scenario.ts';
import type { Story } from './story.ts';
import { supersede } from './supersession.ts';

const minutesMax = 100_000;
const nodesMax = 5_000;
/** Beyond the time asked for: founding, the last action, convergence. */
const overtimeMs = 1_800_000;

export interface SimulationOptions extends Pick<
  WorldOptions,
  'seed' | 'drainMicrotasks' | 'turns' | 'traceSink' | 'onLog'
> {
  /** Of virtual time, while the fleet is troubled. */
  readonly minutes: number;
  readonly nodes: number;
  /** Nothing happens but what a fleet does by itself. */
  readonly isQuiet?: boolean;
  /** How often nodes are heard of; as the pace has it where absent. */
  readonly heartbeatIntervalMs?: number;
  /** Told when the fleet stands and has its work, and when its trouble or quiet is over. */
  readonly onPhase?: (phase: 'founded' | 'healing') => void;
  /** It lives for days, beyond the life of its certificates. */
  readonly isLong?: boolean;
  /** Its server is replaced by a backup of it, and comes back. */
  readonly isRestored?: boolean;
  /** A planted bug. */
  readonly sabotage?: Sabotage;
  /** Gets what happens, to be read where it fails. */
  readonly story?: Story;
  /** Gets a line when something worth saying happens. */
  readonly print?: (line: string) => void;
}

export interface SimulationResult extends ScenarioCounts, CheckCounts {
  /** 64 hexadecimal digits over everything that happened. */
  readonly trace: string;
  readonly events: number;
  readonly messages: number;
  readonly objects: number;
  readonly replicas: number;
  /** Requests of the operator that had to be repeated. */
  readonly retries: number;
  /** Writes that power cuts lost or tore, over all disks. */
  readonly lostWrites: number;
  readonly tornWrites: number;
  readonly failedSyncs: number;
  readonly agentsEndedByDisk: number;
  readonly refusedWrites: number;
  readonly network: Readonly<World['netCounts']>;
  readonly simulatedMs: number;
}

/** Throws SimulationFailure, with the seed in its message, where a requirement does not hold. */
export async function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  const { minutes, nodes, print = () => {} } = options;
  assert(minutes > 0 && minutes <= minutesMax, `from 1 to ${minutesMax} minutes`);
  assert(Number.isInteger(nodes) && nodes > 0 && nodes <= nodesMax, `from 1 to ${nodesMax} nodes`);
  const { story } = options;
  const world = createWorld(
    story === undefined ? options : { ...options, ...told(options, story) },
  );
  const pace = options.isLong === true ? paces.long : paces.short;
  const { heartbeatIntervalMs = pace.heartbeatIntervalMs } = options;
  const fleet = new Fleet(world, nodes, options.sabotage, { ...pace, heartbeatIntervalMs });
  if (story !== undefined) {
    fleet.checkers.truth.onBatch((batch) => story.commit(world.clock.monotonicMs(), batch));
  }
  const scenario = new Scenario(fleet);
  const run = async (): Promise<number> => {
    await fleet.found();
    await requireConvergence(fleet, undefined);
    print(`${nodes} nodes joined`);
    await scenario.apply();
    options.onPhase?.('founded');
    if (options.isRestored === true) {
      await requireConvergence(fleet, scenario.declared);
      await supersede(fleet, scenario);
    } else if (options.isQuiet === true) {
      await sleep(world.timers, minutes * 60_000);
    } else {
      await fleet.checkers.begin(fleet);
      await scenario.run(world.clock.monotonicMs() + minutes * 60_000);
    }
    print(`healing: ${scenario.declared.replicas} replicas are declared`);
    options.onPhase?.('healing');
    await scenario.heal();
    await requireConvergence(fleet, scenario.declared);
    await fleet.checkers.end(fleet);
    return requireSameStateFromLog(fleet);
  };
  const objects = await world.settle(
    Promise.race([run(), fleet.failed]),
    minutes * 60_000 + overtimeMs * fleet.pace.stretch,
  );
  const disks = world.hosts().map((host) => host.machineDisk.counts);
  const sum = (name: keyof (typeof disks)[number]): number =>
    disks.reduce((total, counts) => total + counts[name], 0);
  return {
    ...scenario.counts,
    ...fleet.checkers.counts(),
    trace: world.traceHash(),
    events: world.eventCount(),
    messages: world.netCounts.messages,
    objects,
    replicas: scenario.declared.replicas,
    retries: fleet.operator.retries(),
    lostWrites: sum('lostWrites'),
    tornWrites: sum('tornWrites'),
    failedSyncs: sum('failedSyncs'),
    agentsEndedByDisk: fleet.agentsEndedByDisk,
    refusedWrites: sum('refusedWrites'),
    network: { ...world.netCounts },
    simulatedMs: world.clock.monotonicMs(),
  };
}

/** What a world says goes to the story as well. */
function told(
  { traceSink, onLog }: SimulationOptions,
  story: Story,
): Pick<SimulationOptions, 'traceSink' | 'onLog'> {
  return {
    traceSink: (line) => {
      story.trace(line);
      traceSink?.(line);
    },
    onLog: (line) => {
      story.log(line);
      onLog?.(line);
    },
  };
}
