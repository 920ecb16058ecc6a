/** What a relay may hold. Both ends are on one machine; a link to a node has other limits. */
import type { LinkLimits } from '#platform/wire/mod.ts';

export const relayLinkLimits: Partial<LinkLimits> = {
  messageBytesMax: 32 * 1024 * 1024,
  streamsMax: 16_384,
  streamCreditBytes: 1024 * 1024,
  unacknowledgedBytesMax: 8 * 1024 * 1024,
  sendQueueBytesMax: 128 * 1024 * 1024,
  // A process that has just been started has much to read before it answers.
  handshakeTimeoutMs: 60_000,
  livenessTimeoutMs: 30_000,
};
export const unansweredRequestsMax = 16_384;
/** Unread bytes of one answer, before its sender is made to wait. */
export const unsentBytesHigh = 256 * 1024;
export const peersKnownMax = 8_192;
