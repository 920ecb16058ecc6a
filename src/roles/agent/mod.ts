export { createAgent, type Agent, type AgentDependencies, type AgentOptions } from './agent.ts';
export { type AgentErrorCode } from './errors.ts';
export { type MachineFacts, type MachineSample, type SampleMachine } from './machine.ts';
export {
  type ContainerExit,
  type ContainerKey,
  type ContainerRun,
  type ContainerStart,
  type Runtime,
} from './runtimes/types.ts';
export { type ControlGroups } from './runtimes/script/control-groups.ts';
export { decodeLaunch, type Launch } from './runtimes/script/launch.ts';
export { openScriptRuntime } from './runtimes/script/script-runtime.ts';
export { setAside } from './set-aside.ts';
export { type MeasuredContainer, type UsageAmount, type UsageSample } from './usage.ts';
export { resolversIn } from './services/resolvers.ts';
export { type ExitFile, type StartedFile, type StateFile } from './runtimes/script/state-file.ts';
