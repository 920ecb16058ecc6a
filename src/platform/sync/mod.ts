export {
  type Outbox,
  type Replica,
  type ReplicaChange,
  type SequencedEntry,
  type ServeOutbox,
  type ServeSlice,
  type UpwardEntry,
} from './types.ts';
