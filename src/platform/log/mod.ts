export { type CopiedFile, copyOfBytes, copyOfFile } from './copy.ts';
export { LogBusyError, LogFullError } from './errors.ts';
export { openLog } from './log.ts';
export {
  type AppendOutcome,
  type Log,
  type LogCursor,
  type LogOptions,
  type LogPorts,
  type LogRecord,
  type LogSnapshot,
} from './types.ts';
