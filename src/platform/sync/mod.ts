export { type CopyOffer, offerCopy, takeOffer } from './copy-offer.ts';
export { openOutbox, type OutboxDependencies, type OutboxLimits } from './outbox.ts';
export { openReplica, type ReplicaDependencies } from './replica.ts';
export { serveOutbox } from './serve-outbox.ts';
export { createSliceServer } from './slice-server.ts';
export {
  type Outbox,
  type Replica,
  type ReplicaChange,
  type SequencedEntry,
  type ServeOutbox,
  type SliceRules,
  type SliceServer,
  type EntryPosition,
  type UpwardEntry,
} from './types.ts';
