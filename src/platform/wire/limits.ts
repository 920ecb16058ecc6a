/** Everything about a link that has a maximum. Each side has its own; what the other must know is in the handshake. */

export interface LinkLimits {
  /** A ConfigMap of the largest size travels in one, with what is said about it. */
  readonly messageBytesMax: number;
  /** Streams open at once that the other side began. */
  readonly streamsMax: number;
  /** What a sender may have unacknowledged on one control, status or telemetry stream. */
  readonly streamCreditBytes: number;
  /** Bounds of what all bulk streams together may have unacknowledged. */
  readonly bulkCreditBytesMin: number;
  readonly bulkCreditBytesMax: number;
  /** What this side sends beyond what the other has confirmed, over all streams. */
  readonly unacknowledgedBytesMax: number;
  /** What one stream may have queued here; beyond it the stream fails. */
  readonly sendQueueBytesMax: number;
  readonly handshakeTimeoutMs: number;
  /** Without a byte for this long the link is closed. */
  readonly livenessTimeoutMs: number;
}

export const defaultLinkLimits: LinkLimits = {
  messageBytesMax: 2 * 1024 * 1024,
  // The connections to pods elsewhere that a hub passes on for one node, and beside them as many
  // as ever for all else. Each can hold a message, so that a hub grants its nodes no more.
  streamsMax: 576,
  streamCreditBytes: 256 * 1024,
  bulkCreditBytesMin: 32 * 1024,
  bulkCreditBytesMax: 1024 * 1024,
  unacknowledgedBytesMax: 1024 * 1024,
  sendQueueBytesMax: 4 * 1024 * 1024,
  handshakeTimeoutMs: 10_000,
  livenessTimeoutMs: 15_000,
};

/**
 * What connections of Services leave free of the streams that the other side grants, for
 * all else that is said on the link: an older peer grants 256 in all.
 */
export const streamsKeptFree = 64;

/** One data frame: small enough that a control frame never waits for much. */
export const dataFrameBytesMax = 16 * 1024;
export const openFrameBytesMax = 8 * 1024;
export const textFrameBytesMax = 4 * 1024;
/** What is handed to the connection and has not left it, before frames wait here instead. */
export const connectionBufferedBytesMax = 64 * 1024;
/**
 * What this side has to say about streams and the link itself (credit, refusals, openings)
 * that may wait for a reader. One that does not read while it makes us speak loses its link.
 */
export const signalBytesMax = 1024 * 1024;
/** Of them, how much may wait before no further stream is opened from here. */
export const openSignalBytesMax = 512 * 1024;
/** A receiver confirms at least this often. */
export const acknowledgeEveryBytes = 32 * 1024;
/** Unacknowledged bulk is what the measured rate moves in this time. */
export const bulkCreditWindowMs = 50;
/** No stream is granted less at once; a smaller one could leave a sender stuck below one frame. */
export const creditBytesMin = dataFrameBytesMax;
/** A part of a message smaller than this is not sent alone while more credit is to come. */
export const partBytesMin = 1024;
/** Heartbeats of which the time of sending is remembered. */
export const unansweredBeatsMax = 64;
/** Any larger wish of the other side to be left alone is cut to this. */
export const comeBackAfterMsMax = 60 * 60 * 1000;

/** A child gives its link up when so many of its heartbeats are not answered. */
export const heartbeatsUnansweredMax = 4;

/**
 * How long a link whose child beats in that interval may be silent. Slow heartbeats are
 * enough to keep it: nothing else is said between two of them.
 */
export function livenessTimeoutMsFor(heartbeatIntervalMs: number): number {
  return Math.max(
    defaultLinkLimits.livenessTimeoutMs,
    heartbeatsUnansweredMax * heartbeatIntervalMs,
  );
}

/** No child waits longer between two attempts, unless it was told to: a hub counts on it. */
export const comeBackWithinMsMax = 15_000;
const comeBackWithinMsMin = 2_000;
const comeBackWithinHeartbeats = 8;

/**
 * The longest that a child waits between two attempts to reach its parent: who pays for
 * fast heartbeats wants nodes back as fast after the parent was away.
 */
export function comeBackWithinMsFor(heartbeatIntervalMs: number): number {
  const withinMs = comeBackWithinHeartbeats * heartbeatIntervalMs;
  return Math.min(comeBackWithinMsMax, Math.max(comeBackWithinMsMin, withinMs));
}
