export {
  type Client,
  type DeleteOptions,
  type ListOptions,
  type ObjectList,
  type WatchEvent,
  type WatchHandlers,
} from './types.ts';
