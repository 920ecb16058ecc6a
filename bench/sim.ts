/**
 * How much of a fleet's life one core simulates: node-hours of virtual time in a
 * second of real time, for a fleet with nothing to do and for one in trouble. The
 * quiet fleet has pods and heartbeats, and all checkers but those that are clients of
 * its API look on.
 * Run: `npm run bench -- sim [--rounds N]`.
 */
import { parseArgs } from 'node:util';
import { runSimulation, type SimulationResult } from '#apps/simulator/mod.ts';
import { environmentFacts, printTable, writeResults, type Benchmark } from './support/benchmark.ts';

const fleets = [
  { name: 'quiet, 10 nodes', nodes: 10, minutes: 60, isQuiet: true },
  { name: 'quiet, 100 nodes', nodes: 100, minutes: 10, isQuiet: true },
  { name: 'in trouble, 4 nodes', nodes: 4, minutes: 30, isQuiet: false },
] as const;
const roundsDefault = '3';
const msPerHour = 3_600_000;

interface Round {
  readonly nodeHoursPerSecond: number;
  readonly eventsPerSecond: number;
  readonly simulatedMs: number;
  readonly cpuMs: number;
  readonly elapsedMs: number;
}

async function measure(fleet: (typeof fleets)[number], seed: number): Promise<Round> {
  const { nodes, minutes, isQuiet } = fleet;
  const began = performance.now();
  const cpuBefore = process.cpuUsage();
  const result: SimulationResult = await runSimulation({
    seed,
    minutes,
    nodes,
    isQuiet,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const { user, system } = process.cpuUsage(cpuBefore);
  const elapsedMs = performance.now() - began;
  return {
    nodeHoursPerSecond: (nodes * result.simulatedMs * 1000) / msPerHour / elapsedMs,
    eventsPerSecond: (result.events * 1000) / elapsedMs,
    simulatedMs: result.simulatedMs,
    cpuMs: (user + system) / 1000,
    elapsedMs,
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;

export const benchmark: Benchmark = async (commandLine) => {
  const { values } = parseArgs({
    args: [...commandLine],
    options: { rounds: { type: 'string', default: roundsDefault } },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a whole number');
  const measured = new Map<string, Round[]>(fleets.map(({ name }) => [name, []]));
  // In turn, so that what else the machine does strikes all of them alike.
  for (let round = 0; round < rounds; round += 1) {
    for (const fleet of fleets) measured.get(fleet.name)?.push(await measure(fleet, round + 1));
  }
  const rows = [['fleet', 'node-hours/s', 'least', 'most', 'events/s', 'CPU share']];
  for (const [name, all] of measured) {
    const speeds = all.map((one) => one.nodeHoursPerSecond);
    const share = median(all.map((one) => one.cpuMs / one.elapsedMs));
    rows.push([
      name,
      median(speeds).toFixed(1),
      Math.min(...speeds).toFixed(1),
      Math.max(...speeds).toFixed(1),
      median(all.map((one) => one.eventsPerSecond)).toFixed(0),
      share.toFixed(2),
    ]);
  }
  printTable(rows);
  const results = { environment: environmentFacts(), rounds: Object.fromEntries(measured) };
  console.log(`results in ${writeResults('sim', results)}`);
};
