/** What an agent refuses or fails at. */
import { SelvageError } from '#base/mod.ts';

export type AgentErrorCode =
  | 'RUNTIME_RUNNING'
  | 'RUNTIME_BAD_COMMAND'
  | 'RUNTIME_START'
  | 'RUNTIME_UNKNOWN'
  | 'CONTAINER_CONFIG'
  | 'EXEC_NOT_RUNNING'
  | 'EXEC_NOT_FOUND'
  | 'EXEC_REFUSED'
  | 'IMAGE_NO_PLATFORM'
  | 'IMAGE_INVALID'
  | 'IMAGE_UNREACHABLE'
  | 'POD_NO_ADDRESS'
  | 'POD_RECORD_DAMAGED';

export class AgentError extends SelvageError {
  override readonly name = 'AgentError';
  declare readonly code: AgentErrorCode;
}
