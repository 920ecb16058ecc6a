export { raiseEpoch } from './epoch.ts';
export { createHub } from './hub.ts';
export { hubIndexes } from './stored-facets.ts';
export {
  type Hub,
  type HubDependencies,
  type HubOptions,
  type LogListener,
  type LogRequest,
  type LogStream,
} from './types.ts';
