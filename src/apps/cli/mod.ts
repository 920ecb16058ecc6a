export { agentHelp, agentOptions, agentProcessOptionsOf } from './agent-options.ts';
export {
  type AgentProcessOptions,
  type CliContext,
  CommandFailure,
  type ExitCode,
  exitCodes,
  type JoinFile,
  type Output,
  type ServerProcessOptions,
} from './context.ts';
export { type CommandDescription, describeCommands, runCommandLine } from './program.ts';
