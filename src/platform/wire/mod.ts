export { createConnectionPair } from './connection-pair.ts';
export {
  comeBackWithinMsFor,
  comeBackWithinMsMax,
  defaultLinkLimits,
  heartbeatsUnansweredMax,
  livenessTimeoutMsFor,
  type LinkLimits,
  streamsKeptFree,
} from './limits.ts';
export { LinkConnection } from './link-connection.ts';
export { createLivenessWatch, type LivenessWatch } from './liveness.ts';
export { maintainLink, type MaintainDependencies, type MaintainOptions } from './maintain-link.ts';
export { openLink, type LinkDependencies, type LinkOptions } from './open-link.ts';
export { splice } from './splice.ts';
export {
  type Heartbeat,
  type Lane,
  type LinkSession,
  type LinkStream,
  type StreamFailure,
  type StreamHandler,
} from './types.ts';
