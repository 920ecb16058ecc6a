/**
 * One link after its handshake: reads frames into streams, and writes the
 * frames of its streams in the order of their lanes.
 *
 * Invariants:
 * 1. Whatever the other side sends, nothing is thrown upward: the link closes.
 * 2. At most `connectionBufferedBytesMax` (and one batch) wait in the connection
 *    and `unacknowledgedBytesMax` on the way, so that a frame of a higher lane
 *    never queues behind more. The second bound is our own because a stalled
 *    reader takes megabytes before a socket shows it.
 * 3. Stream numbers rise; the child's are odd, the parent's even.
 */
import { assert, AssertionFailure, concatBytes, errorText, utf8 } from '#base/mod.ts';
import type { Clock, Connection, Logger, PeerIdentity, Timer, Timers } from '#platform/io/mod.ts';
import { BulkWindow } from './bulk-window.ts';
import { LinkError, linkErrorOf } from './errors.ts';
import { encodeFrame, lanes, readUint32, uint32Bytes, type Frame } from './frames.ts';
import { decodeFailure, encodeFailure, parseObject, type Hello } from './handshake.ts';
import {
  acknowledgeEveryBytes,
  connectionBufferedBytesMax,
  creditBytesMin,
  type LinkLimits,
} from './limits.ts';
import { StreamEnd, type StreamHost } from './stream.ts';
import type { Lane, LinkSession, LinkStream, StreamFailure, StreamHandler } from './types.ts';

const closeGraceMs = 1000;
const methodLengthMax = 100;

export interface SessionOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly role: 'parent' | 'child';
  readonly limits: LinkLimits;
  readonly remote: Hello;
  readonly protocolVersion: number;
  readonly onStream: StreamHandler;
}

export class Session implements LinkSession, StreamHost {
  readonly peer: PeerIdentity | undefined;
  readonly remote: { readonly product: string; readonly protocolVersion: number };
  readonly sendMessageBytesMax: number;
  readonly receiveMessageBytesMax: number;
  readonly sendQueueBytesMax: number;
  readonly #options: SessionOptions;
  readonly #bulkWindow: BulkWindow;
  readonly #streams = new Map<number, StreamEnd>();
  readonly #readyByLane: Record<Lane, StreamEnd[]> = {
    control: [],
    status: [],
    telemetry: [],
    bulk: [],
  };
  readonly #closeListeners: ((failure: StreamFailure | undefined) => void)[] = [];
  #signals: Uint8Array[] = [];
  #nextStreamId: number;
  #highestRemoteId = 0;
  #remoteStreamCount = 0;
  #bulkStreamCount = 0;
  #isFlushPlanned = false;
  #sentBytes = 0;
  #confirmedBytes = 0;
  #receivedBytes = 0;
  #acknowledgedBytes = 0;
  #lastSentMs: number;
  #lastReceivedMs: number;
  #livenessTimer: Timer | undefined;
  #graceTimer: Timer | undefined;
  #closed: { readonly failure: StreamFailure | undefined } | undefined;

  constructor(options: SessionOptions) {
    const { connection, limits, remote, clock } = options;
    assert(limits.unacknowledgedBytesMax >= 4 * acknowledgeEveryBytes, 'the limit leaves room');
    this.#options = options;
    this.peer = connection.peer;
    this.remote = { product: remote.product, protocolVersion: options.protocolVersion };
    this.sendMessageBytesMax = remote.messageBytesMax;
    this.receiveMessageBytesMax = limits.messageBytesMax;
    this.sendQueueBytesMax = limits.sendQueueBytesMax;
    this.#bulkWindow = new BulkWindow(limits.bulkCreditBytesMin, limits.bulkCreditBytesMax);
    this.#nextStreamId = options.role === 'child' ? 1 : 2;
    this.#lastSentMs = clock.monotonicMs();
    this.#lastReceivedMs = this.#lastSentMs;
    connection.onDrain(() => this.#flush());
    this.#watchLiveness();
  }

  open(lane: Lane, method: string, parameters: Readonly<Record<string, unknown>>): LinkStream {
    assert(method.length > 0 && method.length <= methodLengthMax, 'a method has a short name');
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    const stream = this.#createStream(id, lane, false);
    const opened = this.#streams.size - this.#remoteStreamCount;
    if (this.#closed !== undefined || opened >= this.#options.remote.streamsMax || id >= 2 ** 31) {
      const failure =
        this.#closed === undefined
          ? { code: 'LINK_TOO_MANY_STREAMS', message: `${opened} streams are open already` }
          : (this.#closed.failure ?? { code: 'LINK_CLOSED', message: 'the link is closed' });
      // Never before the caller could set its listeners.
      void Promise.resolve().then(() => stream.close(failure));
      return stream;
    }
    this.#adopt(stream);
    this.signal(encodeFrame('open', lane, id, utf8(JSON.stringify({ method, parameters }))));
    return stream;
  }

  request(
    lane: Lane,
    method: string,
    parameters: Readonly<Record<string, unknown>>,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = this.open(lane, method, parameters);
      const timer = this.#options.timers.after(timeoutMs, () => {
        const message = `${method} was not answered within ${timeoutMs} ms`;
        stream.fail({ code: 'LINK_TIMEOUT', message });
      });
      stream.onMessage((answer) => {
        timer.cancel();
        resolve(answer);
      });
      stream.onClose((failure) => {
        timer.cancel();
        const missing = { code: 'LINK_CLOSED', message: `${method} ended without an answer` };
        reject(linkErrorOf(failure ?? missing));
      });
      void stream.send(body);
      stream.end();
    });
  }

  onClose(listener: (failure: StreamFailure | undefined) => void): void {
    if (this.#closed === undefined) this.#closeListeners.push(listener);
    else listener(this.#closed.failure);
  }

  close(reason: StreamFailure): void {
    if (this.#closed !== undefined) return;
    const { connection, timers } = this.#options;
    connection.write(encodeFrame('close', 'control', 0, encodeFailure(reason)));
    this.#finish(reason);
    connection.end();
    // A reader that has stalled never lets the end through.
    this.#graceTimer = timers.after(closeGraceMs, () => connection.destroy());
  }

  /** The connection is gone. */
  connectionClosed(error: Error | undefined): void {
    this.#graceTimer?.cancel();
    const detail = error === undefined ? '' : `: ${errorText(error)}`;
    this.#finish({ code: 'LINK_CLOSED', message: `the connection was closed${detail}` });
  }

  /** Bytes that came from the connection, for the liveness check and the confirmations. */
  noteReceived(sizeBytes: number): void {
    this.#lastReceivedMs = this.#options.clock.monotonicMs();
    this.#receivedBytes += sizeBytes;
    if (this.#receivedBytes - this.#acknowledgedBytes < acknowledgeEveryBytes) return;
    this.#acknowledgedBytes = this.#receivedBytes;
    const total = uint32Bytes(this.#receivedBytes % 2 ** 32);
    this.signal(encodeFrame('acknowledge', 'control', 0, total));
  }

  /** Handles one frame; closes the link where it breaks a rule. */
  receive(frame: Frame): void {
    if (this.#closed !== undefined) return;
    try {
      this.#dispatch(frame);
    } catch (thrown) {
      if (thrown instanceof AssertionFailure) throw thrown;
      this.breach(thrown);
    }
  }

  /** The other side broke the rules, or a handler of ours failed. */
  breach(thrown: unknown): void {
    const code = thrown instanceof LinkError ? thrown.code : 'LINK_PROTOCOL';
    this.report(`the link is closed: ${errorText(thrown)}`);
    this.close({ code, message: errorText(thrown) });
  }

  // What a stream asks of its link.

  signal(frame: Uint8Array): void {
    if (this.#closed !== undefined) return;
    this.#signals.push(frame);
    this.#planFlush();
  }

  ready(stream: StreamEnd): void {
    if (stream.isQueued || this.#streams.get(stream.id) !== stream) return;
    stream.isQueued = true;
    this.#readyByLane[stream.lane].push(stream);
    this.#planFlush();
  }

  forget(stream: StreamEnd): void {
    if (this.#streams.get(stream.id) !== stream) return;
    this.#streams.delete(stream.id);
    if (stream.isRemote) this.#remoteStreamCount -= 1;
    if (stream.lane === 'bulk') this.#bulkStreamCount -= 1;
  }

  windowBytes(lane: Lane): number {
    if (lane !== 'bulk') return this.#options.limits.streamCreditBytes;
    const share = Math.floor(this.#bulkWindow.creditBytes() / Math.max(1, this.#bulkStreamCount));
    return Math.max(creditBytesMin, share);
  }

  report(message: string): void {
    this.#options.logger.log('warn', message, { peer: this.peer?.commonName });
  }

  #dispatch(frame: Frame): void {
    if (frame.streamId === 0) {
      this.#dispatchLinkFrame(frame);
      return;
    }
    if (frame.kind === 'open') {
      this.#openRemote(frame);
      return;
    }
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined) {
      if (this.#wasOpened(frame.streamId)) return; // Sent before the other side saw our end of it.
      throw new LinkError('LINK_PROTOCOL', `stream ${frame.streamId} was never opened`);
    }
    switch (frame.kind) {
      case 'data':
      case 'message':
        if (stream.lane === 'bulk') {
          this.#bulkWindow.arrived(frame.payload.length, this.#options.clock.monotonicMs());
        }
        stream.receive(frame.payload, frame.kind === 'message');
        return;
      case 'credit':
        stream.credit(numberOf(frame));
        return;
      case 'end':
        stream.remoteEnd();
        return;
      case 'fail':
        stream.close(decodeFailure(frame.payload));
        return;
      case 'hello':
      case 'close':
      case 'acknowledge':
      case 'alive':
        throw new LinkError('LINK_PROTOCOL', `a ${frame.kind} frame names a stream`);
    }
  }

  #dispatchLinkFrame(frame: Frame): void {
    if (frame.kind === 'alive') return;
    if (frame.kind === 'acknowledge') {
      const step = (numberOf(frame) - (this.#confirmedBytes % 2 ** 32) + 2 ** 32) % 2 ** 32;
      this.#confirmedBytes += step;
      if (this.#confirmedBytes > this.#sentBytes) {
        throw new LinkError('LINK_PROTOCOL', 'the other side confirms what was never sent');
      }
      this.#planFlush();
      return;
    }
    if (frame.kind === 'close') {
      this.#finish(decodeFailure(frame.payload));
      this.#options.connection.destroy();
      return;
    }
    throw new LinkError('LINK_PROTOCOL', `a ${frame.kind} frame names no stream`);
  }

  #openRemote(frame: Frame): void {
    const { role, limits } = this.#options;
    const isTheirs = frame.streamId % 2 === (role === 'child' ? 0 : 1);
    if (!isTheirs || frame.streamId <= this.#highestRemoteId) {
      throw new LinkError('LINK_PROTOCOL', `stream ${frame.streamId} cannot be opened`);
    }
    const { method, parameters } = parseObject(frame.payload);
    if (typeof method !== 'string' || method === '' || method.length > methodLengthMax) {
      throw new LinkError('LINK_PROTOCOL', 'a stream was opened without a method');
    }
    if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
      throw new LinkError('LINK_PROTOCOL', 'a stream was opened without parameters');
    }
    this.#highestRemoteId = frame.streamId;
    if (this.#remoteStreamCount >= limits.streamsMax) {
      const message = `${limits.streamsMax} streams are open already`;
      const failure = encodeFailure({ code: 'LINK_TOO_MANY_STREAMS', message });
      this.signal(encodeFrame('fail', frame.lane, frame.streamId, failure));
      return;
    }
    const stream = this.#createStream(frame.streamId, frame.lane, true);
    this.#adopt(stream);
    try {
      this.#options.onStream(method, { ...parameters }, stream);
    } catch (thrown) {
      if (thrown instanceof AssertionFailure) throw thrown;
      this.report(`the handler of ${method} failed: ${errorText(thrown)}`);
      const code = thrown instanceof LinkError ? thrown.code : 'LINK_LISTENER_FAILED';
      stream.fail({ code, message: `the receiver could not serve ${method}` });
    }
  }

  #createStream(id: number, lane: Lane, isRemote: boolean): StreamEnd {
    const { remote, limits } = this.#options;
    const isBulk = lane === 'bulk';
    return new StreamEnd(this, {
      id,
      lane,
      isRemote,
      sendCredit: isBulk ? remote.bulkCreditBytes : remote.streamCreditBytes,
      peerCredit: isBulk ? limits.bulkCreditBytesMin : limits.streamCreditBytes,
    });
  }

  #adopt(stream: StreamEnd): void {
    this.#streams.set(stream.id, stream);
    if (stream.isRemote) this.#remoteStreamCount += 1;
    if (stream.lane === 'bulk') this.#bulkStreamCount += 1;
  }

  #wasOpened(streamId: number): boolean {
    const isOurs = streamId % 2 === this.#nextStreamId % 2;
    return isOurs ? streamId < this.#nextStreamId : streamId <= this.#highestRemoteId;
  }

  /** Frames of one turn leave together: one write costs one TLS record. */
  #planFlush(): void {
    if (this.#isFlushPlanned || this.#closed !== undefined) return;
    this.#isFlushPlanned = true;
    void Promise.resolve().then(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { connection, clock } = this.#options;
    while (this.#closed === undefined) {
      const batch = this.#signals;
      this.#signals = [];
      let batchBytes = 0;
      for (const frame of batch) batchBytes += frame.length;
      while (connection.bufferedBytes() + batchBytes < connectionBufferedBytesMax) {
        const frame = this.#nextFrame(batchBytes);
        if (frame === undefined) break;
        batch.push(frame);
        batchBytes += frame.length;
      }
      if (batchBytes === 0) return;
      this.#sentBytes += batchBytes;
      this.#lastSentMs = clock.monotonicMs();
      connection.write(batch.length === 1 && batch[0] ? batch[0] : concatBytes(batch));
    }
  }

  #nextFrame(batchBytes: number): Uint8Array | undefined {
    const unconfirmed = this.#sentBytes + batchBytes - this.#confirmedBytes;
    const limitBytes = this.#options.limits.unacknowledgedBytesMax;
    for (const lane of lanes) {
      // The first lane keeps room of its own beyond what the others may fill.
      if (unconfirmed >= (lane === 'control' ? 2 * limitBytes : limitBytes)) continue;
      const queue = this.#readyByLane[lane];
      while (queue.length > 0) {
        const stream = queue.shift();
        if (stream === undefined) break;
        stream.isQueued = false;
        const frame = stream.nextFrame();
        if (frame === undefined) continue;
        // Behind the others of its lane: one frame each in turn.
        this.ready(stream);
        return frame;
      }
    }
    return undefined;
  }

  #watchLiveness(): void {
    const { timers, clock, limits, remote, connection } = this.#options;
    const stepMs = Math.max(1, Math.min(limits.livenessTimeoutMs, remote.livenessTimeoutMs) / 3);
    this.#livenessTimer = timers.after(stepMs, () => {
      if (this.#closed !== undefined) return;
      const nowMs = clock.monotonicMs();
      const silentMs = nowMs - this.#lastReceivedMs;
      if (silentMs >= limits.livenessTimeoutMs) {
        const message = `nothing was heard for ${Math.round(silentMs)} ms`;
        this.#finish({ code: 'LINK_IDLE', message });
        connection.destroy();
        return;
      }
      if (nowMs - this.#lastSentMs >= stepMs / 2) this.signal(encodeFrame('alive', 'control', 0));
      this.#watchLiveness();
    });
  }

  #finish(failure: StreamFailure): void {
    if (this.#closed !== undefined) return;
    this.#closed = { failure };
    this.#livenessTimer?.cancel();
    this.#signals = [];
    for (const stream of this.#streams.values()) stream.close(failure);
    for (const lane of lanes) this.#readyByLane[lane].length = 0;
    for (const listener of this.#closeListeners) listener(failure);
  }
}

function numberOf(frame: Frame): number {
  const value = readUint32(frame.payload, 0);
  if (value === undefined) throw new LinkError('LINK_PROTOCOL', `a ${frame.kind} frame is short`);
  return value;
}
