export type { NodeLiveness, VersionInfo } from './dependencies.ts';
export type {
  PodLogFailure,
  PodLogListener,
  PodLogRequest,
  PodLogSource,
  PodLogStream,
} from './pod-logs.ts';
export { createServer, type Server, type ServerDependencies } from './server.ts';
