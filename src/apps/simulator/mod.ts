export { SimulationFailure, type SimulationFailureCode } from './errors.ts';
export { runSimulation, type SimulationOptions, type SimulationResult } from './run-simulation.ts';
export { serviceWorkload, shimProgram, type SimWorkload } from './shim-program.ts';
