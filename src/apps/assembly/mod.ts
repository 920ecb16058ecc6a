export { readServerFolder } from './backup.ts';
export {
  assembleServer,
  type AssembledServer,
  type AssemblySeams,
  type ServerAssemblyOptions,
  type ServerPorts,
  type StorePart,
} from './server-assembly.ts';
