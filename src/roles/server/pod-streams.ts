/** Streams to a container, both ways. The hub gives this; it asks the pod's node. */
import { StatusError } from '#platform/api/mod.ts';

export interface PodStreamFailure {
  /** POD_NOT_FOUND, CONTAINER_NOT_FOUND, NODE_UNREACHABLE … */
  readonly code: string;
  readonly message: string;
}

export interface PodStream {
  /** Resolves when there is room for more; rejects where the stream is over. */
  send(message: Uint8Array): Promise<void>;
  /** Nothing more from this side. */
  end(): void;
  fail(failure: PodStreamFailure): void;
  /** Set at once. More comes when the returned promise is done. */
  onMessage(listener: (message: Uint8Array) => void | Promise<void>): void;
  /** Called once: undefined when both sides have ended. */
  onClose(listener: (failure: PodStreamFailure | undefined) => void): void;
}

/** `pod.exec`: messages of a channel's number and its bytes. `pod.forward`: plain bytes of one connection. */
export type PodStreamMethod = 'pod.exec' | 'pod.forward';

export interface PodStreamSource {
  /** A node that is not there fails the stream, after this has returned. */
  open(
    nodeName: string,
    method: PodStreamMethod,
    parameters: Readonly<Record<string, unknown>>,
  ): PodStream;
}

/** Throws ServiceUnavailable where this server has no way to its nodes. */
export function knownStreams(source: PodStreamSource | undefined): PodStreamSource {
  if (source !== undefined) return source;
  throw new StatusError('ServiceUnavailable', 'this server has no way into containers');
}
