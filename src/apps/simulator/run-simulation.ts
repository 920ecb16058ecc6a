/**
 * One simulation: a fleet is founded, gets work, is troubled for a while, healed,
 * and must then be what was declared.
 */
import { assert } from '#base/mod.ts';
import { createWorld, type WorldOptions } from '#platform/sim/mod.ts';
import { requireConvergence, requireSameStateFromLog } from './checks.ts';
import { Fleet } from './fleet.ts';
import { Scenario, type ScenarioCounts } from './scenario.ts';

const minutesMax = 100_000;
const nodesMax = 5_000;
/** Beyond the time asked for: founding, the last action, convergence. */
const overtimeMs = 1_800_000;

export interface SimulationOptions extends Pick<
  WorldOptions,
  'seed' | 'drainMicrotasks' | 'traceSink' | 'onLog'
> {
  /** Of virtual time, while the fleet is troubled. */
  readonly minutes: number;
  readonly nodes: number;
  /** Gets a line when something worth saying happens. */
  readonly print?: (line: string) => void;
}

export interface SimulationResult extends ScenarioCounts {
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
  readonly simulatedMs: number;
}

/** Throws SimulationFailure, with the seed in its message, where a requirement does not hold. */
export async function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  const { minutes, nodes, print = () => {} } = options;
  assert(minutes > 0 && minutes <= minutesMax, `from 1 to ${minutesMax} minutes`);
  assert(Number.isInteger(nodes) && nodes > 0 && nodes <= nodesMax, `from 1 to ${nodesMax} nodes`);
  const world = createWorld(options);
  const fleet = new Fleet(world, nodes);
  const scenario = new Scenario(fleet);
  const run = async (): Promise<number> => {
    await fleet.found();
    await requireConvergence(fleet, undefined);
    print(`${nodes} nodes joined`);
    await scenario.apply();
    await scenario.run(world.clock.monotonicMs() + minutes * 60_000);
    print(`healing: ${scenario.declared.replicas} replicas are declared`);
    await scenario.heal();
    await requireConvergence(fleet, scenario.declared);
    return requireSameStateFromLog(fleet);
  };
  const objects = await world.settle(run(), minutes * 60_000 + overtimeMs);
  const disks = world.hosts().map((host) => host.machineDisk.counts);
  return {
    ...scenario.counts,
    trace: world.traceHash(),
    events: world.eventCount(),
    messages: world.netCounts.messages,
    objects,
    replicas: scenario.declared.replicas,
    retries: fleet.operator.retries(),
    lostWrites: disks.reduce((sum, counts) => sum + counts.lostWrites, 0),
    tornWrites: disks.reduce((sum, counts) => sum + counts.tornWrites, 0),
    simulatedMs: world.clock.monotonicMs(),
  };
}
