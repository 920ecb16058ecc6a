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
export { damageOfIdentity, type IdentityDamage, joinAnewCommands } from './identity-files.ts';
export { type CommandDescription, describeCommands, runCommandLine } from './program.ts';
