/** What happened in a simulation, in words: how many of each fault, and what was checked. */
import type { SimulationResult } from './run-simulation.ts';

type Numbers = Readonly<Record<string, number>>;

/** In the order in which they are told. */
function countsOf(result: SimulationResult): Numbers {
  const { network } = result;
  return {
    scales: result.scales,
    rollouts: result.rollouts,
    'pod deletions': result.podDeletions,
    cordons: result.cordons,
    'token races': result.tokenRaces,
    'keys revoked': result.revocations,
    'workloads killed': result.workloadKills,
    'agents crashed': result.agentCrashes,
    'agents frozen': result.agentFreezes,
    'nodes without power': result.nodePowerCuts,
    'server crashed': result.serverCrashes,
    'server frozen': result.serverFreezes,
    'server without power': result.serverPowerCuts,
    'links cut both ways': result.cutsBothWays,
    'links cut one way': result.cutsOneWay,
    'links reset': result.resets,
    'links silenced': result.silences,
    'messages lost and sent again': network.lost,
    'messages late': network.delayed,
    'messages overtaken': network.reordered,
    'answers lost': network.lostAnswers,
    'clocks jumped': result.clockJumps,
    'clocks drifting': result.clockDrifts,
    'disks full': result.diskFills,
    'writes refused': result.refusedWrites,
    'syncs failed': result.failedSyncs,
    'agents ended by their disk': result.agentsEndedByDisk,
    'disks slow': result.slowDisks,
    'copies lost': result.copiesLost,
    'nodes away for long': result.absences,
    'certificates renewed': result.renewals,
    'renewed after their end': result.lateRenewals,
    'writes lost': result.lostWrites,
    'writes torn': result.tornWrites,
    'watch events compared': result.comparedEvents,
    'watches begun again': result.watchRestarts,
    'increments of the tally': result.increments,
  };
}

const lineLengthMax = 100;

function textOf(counts: Numbers): string {
  const lines = [''];
  for (const [name, count] of Object.entries(counts)) {
    const last = lines.at(-1) ?? '';
    const item = `${name} ${count}`;
    if (last === '') lines[lines.length - 1] = item;
    else if (last.length + item.length + 2 > lineLengthMax) lines.push(item);
    else lines[lines.length - 1] = `${last}, ${item}`;
  }
  return lines.join(',\n  ');
}

export function summaryOf(result: SimulationResult): string {
  return textOf(countsOf(result));
}

/** A short life ends before its certificates do. */
const onlyInLongLives: readonly string[] = [
  'nodes away for long',
  'certificates renewed',
  'renewed after their end',
];

/** Over many simulations. */
export class Totals {
  readonly #sums: Record<string, number> = {};
  simulations = 0;
  nodeMs = 0;

  add(result: SimulationResult, nodes: number): void {
    this.simulations += 1;
    this.nodeMs += result.simulatedMs * nodes;
    for (const [name, count] of Object.entries(countsOf(result))) {
      this.#sums[name] = (this.#sums[name] ?? 0) + count;
    }
  }

  /** Kinds that never happened, though so many simulations should have had them. */
  neverHappened(isLong: boolean): readonly string[] {
    return Object.entries(this.#sums)
      .filter(([name, count]) => count === 0 && (isLong || !onlyInLongLives.includes(name)))
      .map(([name]) => name);
  }

  text(): string {
    return textOf(this.#sums);
  }
}
