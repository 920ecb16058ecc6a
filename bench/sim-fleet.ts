/**
 * One simulated fleet in a process of its own, for `npm run bench -- sim`: takes a
 * task as a message, answers with what it took.
 */
import { runSimulation } from '#apps/simulator/mod.ts';
import { createNodeTurns } from '#platform/io/node/mod.ts';

const msPerHour = 3_600_000;

export interface FleetTask {
  readonly nodes: number;
  readonly minutes: number;
  readonly heartbeatIntervalMs: number;
  readonly isQuiet: boolean;
  readonly seed: number;
}

export interface FleetMeasure {
  /** Real time until every node had joined and there was something to run. */
  readonly foundingMs: number;
  /** Of the time that was asked for, quiet or in trouble, and what it took. */
  readonly nodeHours: number;
  readonly elapsedMs: number;
  readonly cpuMs: number;
  /** Of the whole simulation, with its founding and the checks at its end. */
  readonly wholeMs: number;
  readonly wholeNodeHours: number;
  readonly events: number;
}

async function measure(task: FleetTask): Promise<FleetMeasure> {
  const { nodes, minutes, heartbeatIntervalMs, isQuiet, seed } = task;
  const marks: { readonly atMs: number; readonly cpuMs: number }[] = [];
  const mark = (): void => {
    const { user, system } = process.cpuUsage();
    marks.push({ atMs: performance.now(), cpuMs: (user + system) / 1000 });
  };
  mark();
  const result = await runSimulation({
    seed,
    minutes,
    nodes,
    heartbeatIntervalMs,
    isQuiet,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    turns: createNodeTurns(),
    onPhase: mark,
  });
  mark();
  const [began, founded, healing, ended] = marks;
  if (began === undefined || founded === undefined || healing === undefined || ended === undefined)
    throw new Error('a simulation has its phases');
  return {
    foundingMs: founded.atMs - began.atMs,
    nodeHours: (nodes * minutes) / 60,
    elapsedMs: healing.atMs - founded.atMs,
    cpuMs: healing.cpuMs - founded.cpuMs,
    wholeMs: ended.atMs - began.atMs,
    wholeNodeHours: (nodes * result.simulatedMs) / msPerHour,
    events: result.events,
  };
}

process.once('message', (task) => {
  measure(task as FleetTask)
    .then((measured) => {
      process.send?.(measured, () => process.disconnect());
    })
    .catch((thrown: unknown) => {
      console.error(thrown);
      process.exit(1);
    });
});
