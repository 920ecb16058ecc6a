export { type FrontProcess, type FrontStarter } from './api-fronts.ts';
export { runApiFront } from './front-assembly.ts';
export { readServerFolder } from './backup.ts';
export {
  assembleServer,
  type AssembledServer,
  type AssemblySeams,
  type ServerAssemblyOptions,
  type ServerPorts,
  type StorePart,
} from './server-assembly.ts';
