export {
  type AgentProcessOptions,
  type CliContext,
  type ExitCode,
  exitCodes,
  type JoinFile,
  type Output,
  type ServerProcessOptions,
} from './context.ts';
export { runCommandLine } from './program.ts';
