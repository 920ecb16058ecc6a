export {
  type AdoptionContext,
  type AdoptionOutcome,
  offeredResources,
  planAdoption,
  raisedReplicas,
} from './adoption.ts';
export { type NodeCopy } from './copies.ts';
export { epochOf, raiseEpoch } from './epoch.ts';
export { createHub } from './hub.ts';
export { hubIndexes, nodeKey } from './stored-facets.ts';
export {
  type Hub,
  type HubDependencies,
  type HubOptions,
  type LogListener,
  type LogRequest,
  type LogStream,
} from './types.ts';
