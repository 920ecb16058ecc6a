/**
 * The link: one mutually authenticated connection between a child and its
 * parent, carrying message streams on lanes. Everything that the two tiers say
 * to each other is a stream: a request and its answer, a sync session, a log
 * that is followed, a blob.
 *
 * Invariants:
 * 1. Messages of one stream arrive in order, whole and once, or the stream ends
 *    with an error at both ends.
 * 2. A lane never waits for a lower one: control, status, telemetry, bulk.
 * 3. A sender never has more unacknowledged bytes in flight on a stream than the
 *    receiver granted.
 * 4. Nothing but the handshake is exchanged until both sides have agreed on a version.
 */
import type { PeerIdentity } from '#platform/io/mod.ts';

export type Lane = 'control' | 'status' | 'telemetry' | 'bulk';

/** Why a stream or link ended before it was done. `code` is stable, e.g. `LINK_CLOSED`. */
export interface StreamFailure {
  readonly code: string;
  readonly message: string;
}

export interface LinkStream {
  readonly lane: Lane;
  /**
   * Queues one message (at most messageBytesMax). Resolves when the stream has
   * credit for the next one, so that awaiting it is the back-pressure; rejects
   * with LinkError when the stream has failed.
   */
  send(message: Uint8Array): Promise<void>;
  /** No more messages from this side; the other side may go on. */
  end(): void;
  /** Gives the whole stream up; the other side sees the failure. */
  fail(failure: StreamFailure): void;
  /**
   * Set once, before the first await after the stream was obtained. Credit goes
   * back to the sender when the returned promise (or the plain return) is done.
   */
  onMessage(listener: (message: Uint8Array) => void | Promise<void>): void;
  /** Called once: with undefined when both sides have ended, else with the failure. */
  onClose(listener: (failure: StreamFailure | undefined) => void): void;
}

/** Opens a stream: `method` names what it is for, `parameters` is a small JSON object. */
export type StreamHandler = (
  method: string,
  parameters: Readonly<Record<string, unknown>>,
  stream: LinkStream,
) => void;

/** How the child shows that it is there. */
export interface Heartbeat {
  readonly intervalMs: number;
  /** With so many sent and not one answered, the link is closed with `LINK_HEARTBEAT_LOST`. */
  readonly unansweredMax: number;
  /** Called with the monotonic instant at which the newest answered one was sent. */
  readonly onAnswered: (sentMs: number) => void;
}

export interface LinkSession {
  readonly peer: PeerIdentity | undefined;
  /** What the other side said of itself in the handshake. */
  readonly remote: { readonly product: string; readonly protocolVersion: number };
  /** How many more the other side lets this one open now. */
  streamsLeft(): number;
  open(lane: Lane, method: string, parameters: Readonly<Record<string, unknown>>): LinkStream;
  /** One message each way. Rejects with LinkError (also after `timeoutMs`). */
  request(
    lane: Lane,
    method: string,
    parameters: Readonly<Record<string, unknown>>,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array>;
  /**
   * The child's, once: sends a heartbeat now and in every interval. The other side
   * answers each by itself. They also keep the link alive.
   */
  beat(heartbeat: Heartbeat): void;
  /** The parent's, set once in `onOpen`: called for every heartbeat of the child. */
  onBeat(listener: () => void): void;
  onClose(listener: (failure: StreamFailure | undefined) => void): void;
  close(reason: StreamFailure): void;
}
