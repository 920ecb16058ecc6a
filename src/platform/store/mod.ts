export { type CopiedFile, copyOfBytes, copyOfFile } from '#platform/log/mod.ts';
export { CompactedError, FutureRevisionError } from './errors.ts';
export { openFeed, type StoreFeed } from './feed.ts';
export { compareKeys, keyText } from './key.ts';
export { objectDigest, objectDigestLength } from './object-digest.ts';
export { type Retention } from './retention.ts';
export { createStoreCopy, type StoreCopy } from './store-copy.ts';
export { openStore, type StoreOptions, type StorePorts } from './store.ts';
export {
  type Change,
  type CommittedBatch,
  type Cursor,
  type Facet,
  type FacetValue,
  type IndexFunction,
  type ObjectEvent,
  type ObjectKey,
  type OwnedStore,
  type Store,
  type StoredObject,
  type StoreView,
  type Transaction,
  type Watch,
} from './types.ts';
