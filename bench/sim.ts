/**
 * How much of a fleet's life is simulated in a second: node-hours of virtual time, for
 * quiet fleets of several sizes at two rates of heartbeats, and for one in trouble. Quiet
 * fleets have pods and heartbeats, and all checkers but those that are clients of the API
 * look on. Each measurement is a process of its own; with several processes, each
 * simulates a fleet of its own at the same time, and what they do is added up.
 * Run: `npm run bench -- sim`; `--help` tells its options.
 */
import { fork } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { OptionTable, ValuesOf } from '../tools/command-options.ts';
import type { FleetMeasure, FleetTask } from './sim-fleet.ts';
import {
  environmentFacts,
  printTable,
  requireChoice,
  writeResults,
  type Benchmark,
} from './support/benchmark.ts';

const quiet = (nodes: number, heartbeatIntervalMs: number, minutes: number) => ({
  name: `quiet, ${nodes} nodes, ${heartbeatIntervalMs / 1000} s`,
  task: { nodes, minutes, heartbeatIntervalMs, isQuiet: true },
});
/** A round of all of them, in one process and in two, takes about three minutes. */
const fleets: readonly { readonly name: string; readonly task: Omit<FleetTask, 'seed'> }[] = [
  quiet(10, 2_000, 3_000),
  quiet(100, 2_000, 300),
  quiet(1000, 2_000, 20),
  quiet(10, 10_000, 6_000),
  quiet(100, 10_000, 900),
  quiet(1000, 10_000, 60),
  {
    name: 'in trouble, 4 nodes, 2 s',
    task: { nodes: 4, minutes: 60, heartbeatIntervalMs: 2_000, isQuiet: false },
  },
];

function simulate(task: FleetTask): Promise<FleetMeasure> {
  return new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, 'sim-fleet.ts'), {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    let measured: FleetMeasure | undefined;
    child.once('message', (message) => {
      measured = message as FleetMeasure;
    });
    child.once('exit', (code) => {
      if (measured === undefined) reject(new Error(`the simulation ended with ${code}`));
      else resolve(measured);
    });
    child.send(task);
  });
}

/** Of all processes of a round together. */
interface Round {
  readonly processes: number;
  readonly nodeHoursPerSecond: number;
  readonly nodeHoursPerCpuSecond: number;
  /** With the founding of the fleet and the checks at its end. */
  readonly wholeNodeHoursPerSecond: number;
  readonly foundingMs: number;
  readonly eventsPerNodeHour: number;
}

async function runRound(
  task: Omit<FleetTask, 'seed'>,
  processes: number,
  round: number,
): Promise<Round> {
  const measures = await Promise.all(
    Array.from({ length: processes }, (_, index) =>
      simulate({ ...task, seed: 1 + round * processes + index }),
    ),
  );
  const sum = (value: (measure: FleetMeasure) => number): number =>
    measures.reduce((total, measure) => total + value(measure), 0);
  return {
    processes,
    nodeHoursPerSecond: sum(({ nodeHours, elapsedMs }) => (nodeHours * 1000) / elapsedMs),
    nodeHoursPerCpuSecond: sum(({ nodeHours }) => nodeHours * 1000) / sum(({ cpuMs }) => cpuMs),
    wholeNodeHoursPerSecond: sum(
      ({ wholeNodeHours, wholeMs }) => (wholeNodeHours * 1000) / wholeMs,
    ),
    foundingMs: sum(({ foundingMs }) => foundingMs) / processes,
    eventsPerNodeHour: sum(({ events }) => events) / sum(({ wholeNodeHours }) => wholeNodeHours),
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;

const options = {
  rounds: { value: 'N', fallback: 5, least: 1, meaning: 'of all fleets in turn' },
  processes: {
    value: 'N',
    fallback: cpus().length,
    least: 1,
    meaning: 'that simulate at once, beside one alone',
  },
  only: { value: 'TEXT', fallback: '', meaning: 'those alone whose name has it' },
} as const satisfies OptionTable;

async function runBenchmark(values: ValuesOf<typeof options>): Promise<void> {
  const { rounds, processes } = values;
  const chosen = fleets.filter(({ name }) => name.includes(values.only));
  const names = fleets.map(({ name }) => name);
  requireChoice(values.only, chosen.length, names);
  const environment = environmentFacts();
  const lanes = processes === 1 ? [1] : [1, processes];
  const measured = new Map<string, Round[]>();
  let path = '';
  // In turn, so that what else the machine does strikes all of them alike.
  for (let round = 0; round < rounds; round += 1) {
    console.log(`round ${round + 1} of ${rounds}`);
    for (const { name, task } of chosen) {
      for (const count of lanes) {
        const key = `${name}, ${count} process${count === 1 ? '' : 'es'}`;
        const all = measured.get(key) ?? [];
        const one = await runRound(task, count, round);
        console.log(`  ${key}: ${one.nodeHoursPerSecond.toFixed(1)} node-hours/s`);
        all.push(one);
        measured.set(key, all);
      }
    }
    // After every round: an interrupted run has measured something too.
    path = writeResults('sim', { environment, rounds: Object.fromEntries(measured) });
  }
  const titles = ['node-hours/s', 'least', 'most', 'per CPU s', 'with founding', 'founding s'];
  const rows = [['fleet', ...titles, 'events/node-hour']];
  for (const [name, all] of measured) {
    const speeds = all.map((one) => one.nodeHoursPerSecond);
    rows.push([
      name,
      median(speeds).toFixed(1),
      Math.min(...speeds).toFixed(1),
      Math.max(...speeds).toFixed(1),
      median(all.map((one) => one.nodeHoursPerCpuSecond)).toFixed(1),
      median(all.map((one) => one.wholeNodeHoursPerSecond)).toFixed(1),
      (median(all.map((one) => one.foundingMs)) / 1000).toFixed(1),
      median(all.map((one) => one.eventsPerNodeHour)).toFixed(0),
    ]);
  }
  console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`);
  console.log(`${rounds} rounds; load before: ${String(environment['loadAverageBefore'])}`);
  printTable(rows);
  console.log(`results in ${path}`);
}

export const benchmark: Benchmark<typeof options> = {
  summary: "How many node-hours of a fleet's life are simulated in a second.",
  options,
  run: runBenchmark,
};
