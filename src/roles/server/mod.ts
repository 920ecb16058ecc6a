export type { AuditSink } from './audit.ts';
export type { NodeLiveness, VersionInfo } from './dependencies.ts';
export type {
  PodLogFailure,
  PodLogListener,
  PodLogRequest,
  PodLogSource,
  PodLogStream,
} from './pod-logs.ts';
export {
  createFrontServer,
  type FrontServer,
  type FrontServerDependencies,
} from './front-server.ts';
export { createServer, type ObservedRow, type Server, type ServerDependencies } from './server.ts';
