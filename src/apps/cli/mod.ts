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
export { runCommandLine } from './program.ts';
