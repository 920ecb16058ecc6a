export { createClient, type ClientOptions } from './client.ts';
export { type ClientErrorCode } from './errors.ts';
export {
  createEventRecorder,
  deliverEvent,
  type EventPosition,
  type EventRecorder,
  type EventRecorderOptions,
  type EventReport,
} from './event-recorder.ts';
export {
  handlerTransport,
  httpTransport,
  type HttpTransportOptions,
  type Transport,
  type TransportRequest,
  type TransportResponse,
} from './transport.ts';
export {
  type Client,
  type DeleteOptions,
  type ListOptions,
  type ObjectList,
  type WatchEvent,
  type WatchHandlers,
} from './types.ts';
