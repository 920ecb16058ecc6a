export { SimulationError } from './errors.ts';
export { Host, type HostPorts, type WorldLogLine } from './host.ts';
export { seededRandom, type SeededRandom } from './seeded-random.ts';
export { wallEpochMs } from './sim-clock.ts';
export { type DiskFaults } from './sim-disk.ts';
export { type ProcessExit, type SimChild, type SimProcess, type SimProgram } from './sim-spawn.ts';
export { createWorld, type World, type WorldFaults, type WorldOptions } from './world.ts';
