export {
  type Lane,
  type LinkSession,
  type LinkStream,
  type StreamFailure,
  type StreamHandler,
} from './types.ts';
