/** Where the logs of a container come from. The hub gives this; it asks the pod's node. */
export interface PodLogRequest {
  readonly podUid: string;
  readonly container: string;
  /** Go on with what is written later, until the container ends. */
  readonly follow: boolean;
  /** Only the last lines of what is there. */
  readonly tailLines?: number;
  /** Of the last run that has ended, not of the one that goes on. */
  readonly previous?: boolean;
  /** Only what was written in so long; what was written shortly before may be there too. */
  readonly sinceAgeMs?: number;
  /** When it was written, before each line. */
  readonly timestamps?: boolean;
}

export interface PodLogFailure {
  /** POD_NOT_FOUND and CONTAINER_NOT_FOUND mean that it has not started there. */
  readonly code: string;
  readonly message: string;
}

export interface PodLogListener {
  onBytes(bytes: Uint8Array): void;
  /** Exactly once, after the last bytes; never after `close`. */
  onEnd(failure: PodLogFailure | undefined): void;
}

export interface PodLogStream {
  close(): void;
  pause?(): void;
  resume?(): void;
}

export interface PodLogSource {
  /** Calls the listener only after it has returned. */
  open(nodeName: string, request: PodLogRequest, listener: PodLogListener): PodLogStream;
}
