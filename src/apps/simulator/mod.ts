export { SimulationFailure, type SimulationFailureCode } from './errors.ts';
export { runSimulation, type SimulationOptions, type SimulationResult } from './run-simulation.ts';
export { invariants, invariantText } from './invariants/invariants.ts';
export { sabotages, type Sabotage } from './sabotages.ts';
export { shimProgram, type SimWorkload } from './shim-program.ts';
export { sameTraceFailure } from './invariants/same-trace.ts';
export { summaryOf, Totals } from './summary.ts';
export { Story } from './story.ts';
export { idleServerOwner, simulateIdle, type IdlePhase, type IdleResult } from './simulate-idle.ts';
