export {
  assembleServer,
  type AssembledServer,
  type ServerAssemblyOptions,
  type ServerPorts,
} from './server-assembly.ts';
