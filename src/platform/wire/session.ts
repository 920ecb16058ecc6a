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
 * 4. What this side has to say by itself waits within `signalBytesMax`: a peer that
 *    makes it speak and does not read loses the link.
 */
import { assert, AssertionFailure, concatBytes, errorText, utf8 } from '#base/mod.ts';
import type { Clock, Connection, Logger, PeerIdentity, Timer, Timers } from '#platform/io/mod.ts';
import { BulkWindow } from './bulk-window.ts';
import { LinkError, linkErrorOf } from './errors.ts';
import { encodeFrame, encodeNumberFrame, lanes, type Frame } from './frames.ts';
import { decodeFailure, encodeFailure, parseObject, type Hello } from './handshake.ts';
import {
  acknowledgeEveryBytes,
  connectionBufferedBytesMax,
  creditBytesMin,
  openSignalBytesMax,
  signalBytesMax,
  unansweredBeatsMax,
  type LinkLimits,
} from './limits.ts';
import { createLivenessWatch, type LivenessWatch } from './liveness.ts';
import { StreamEnd, type StreamHost } from './stream.ts';
import type {
  Heartbeat,
  Lane,
  LinkSession,
  LinkStream,
  StreamFailure,
  StreamHandler,
} from './types.ts';

const closeGraceMs = 1000;
const methodLengthMax = 100;
/** What is to be done within this turn waits on it. */
const thisTurn = Promise.resolve();

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
  /** Shared with other links; absent: one of its own. */
  readonly liveness: LivenessWatch | undefined;
}

/** The heartbeats of a child. */
interface Beating {
  readonly heartbeat: Heartbeat;
  readonly sentMs: Float64Array;
  counter: number;
  answered: number;
  timer: Timer | undefined;
}

export class Session implements LinkSession, StreamHost {
  readonly peer: PeerIdentity | undefined;
  readonly remote: { readonly product: string; readonly protocolVersion: number };
  readonly sendMessageBytesMax: number;
  readonly receiveMessageBytesMax: number;
  readonly sendQueueBytesMax: number;
  readonly #options: SessionOptions;
  readonly #connection: Connection;
  readonly #clock: Clock;
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
  #signalBytes = 0;
  #nextStreamId: number;
  #highestRemoteId = 0;
  #remoteStreamCount = 0;
  #bulkStreamCount = 0;
  #isFlushPlanned = false;
  #sentBytes = 0;
  #confirmedBytes = 0;
  #receivedBytes = 0;
  #acknowledgedBytes = 0;
  /** Whole milliseconds: they change with every frame, and whole numbers need no object. */
  #lastSentMs: number;
  #lastReceivedMs: number;
  readonly #liveness: LivenessWatch;
  /** What may pass between two frames of either side. */
  readonly #aliveEveryMs: number;
  #beating: Beating | undefined;
  #beatListener: (() => void) | undefined;
  #graceTimer: Timer | undefined;
  #closed: { readonly failure: StreamFailure | undefined } | undefined;
  readonly #flushNow = (): void => {
    this.#isFlushPlanned = false;
    this.#flush();
  };

  constructor(options: SessionOptions) {
    const { connection, limits, remote, clock, timers, liveness } = options;
    assert(limits.unacknowledgedBytesMax >= 4 * acknowledgeEveryBytes, 'the limit leaves room');
    this.#options = options;
    this.#connection = connection;
    this.#clock = clock;
    this.peer = connection.peer;
    this.remote = { product: remote.product, protocolVersion: options.protocolVersion };
    this.sendMessageBytesMax = remote.messageBytesMax;
    this.receiveMessageBytesMax = limits.messageBytesMax;
    this.sendQueueBytesMax = limits.sendQueueBytesMax;
    this.#bulkWindow = new BulkWindow(limits.bulkCreditBytesMin, limits.bulkCreditBytesMax);
    this.#nextStreamId = options.role === 'child' ? 1 : 2;
    this.#lastSentMs = Math.floor(clock.monotonicMs());
    this.#lastReceivedMs = this.#lastSentMs;
    connection.onDrain(() => this.#flush());
    this.#aliveEveryMs = Math.max(
      1,
      Math.min(limits.livenessTimeoutMs, remote.livenessTimeoutMs) / 3,
    );
    const isShared = liveness !== undefined && liveness.stepMs <= this.#aliveEveryMs;
    this.#liveness = isShared ? liveness : createLivenessWatch(timers, this.#aliveEveryMs);
    this.#liveness.add(this);
  }

  streamsLeft(): number {
    return this.#options.remote.streamsMax - this.#openedCount();
  }

  #openedCount(): number {
    return this.#streams.size - this.#remoteStreamCount;
  }

  open(lane: Lane, method: string, parameters: Readonly<Record<string, unknown>>): LinkStream {
    assert(method.length > 0 && method.length <= methodLengthMax, 'a method has a short name');
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    const stream = this.#createStream(id, lane, false);
    const frame = encodeFrame('open', lane, id, utf8(JSON.stringify({ method, parameters })));
    const failure = this.#reasonNotToOpen(id, frame);
    if (failure !== undefined) {
      // Never before the caller could set its listeners.
      void thisTurn.then(() => stream.close(failure));
      return stream;
    }
    this.#adopt(stream);
    this.signal(frame);
    return stream;
  }

  #reasonNotToOpen(id: number, frame: Uint8Array): StreamFailure | undefined {
    if (this.#closed !== undefined) {
      return this.#closed.failure ?? { code: 'LINK_CLOSED', message: 'the link is closed' };
    }
    if (this.streamsLeft() <= 0 || id >= 2 ** 31) {
      const message = `${this.#openedCount()} streams are open already`;
      return { code: 'LINK_TOO_MANY_STREAMS', message };
    }
    if (this.#signalBytes + frame.length <= openSignalBytesMax) return undefined;
    return { code: 'LINK_QUEUE_FULL', message: 'the other side does not read' };
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

  beat(heartbeat: Heartbeat): void {
    const { intervalMs, unansweredMax } = heartbeat;
    assert(this.#options.role === 'child' && this.#beating === undefined, 'a child beats once');
    assert(intervalMs > 0, 'time passes between two heartbeats');
    assert(unansweredMax > 0 && unansweredMax <= unansweredBeatsMax, 'a small number of them');
    if (this.#closed !== undefined) return;
    const sentMs = new Float64Array(unansweredMax);
    const beating: Beating = { heartbeat, sentMs, counter: 0, answered: 0, timer: undefined };
    this.#beating = beating;
    // Beats that come often enough are all that a link needs to stay alive.
    if (intervalMs <= this.#aliveEveryMs) this.#liveness.remove(this);
    const { timers, clock, limits } = this.#options;
    const next = (): void => {
      if (this.#closed !== undefined) return;
      const nowMs = clock.monotonicMs();
      if (beating.counter - beating.answered >= unansweredMax) {
        const message = `no answer to ${unansweredMax} heartbeats`;
        this.close({ code: 'LINK_HEARTBEAT_LOST', message });
        return;
      }
      if (nowMs - this.#lastReceivedMs >= limits.livenessTimeoutMs) {
        this.checkLiveness();
        return;
      }
      beating.counter += 1;
      beating.sentMs[beating.counter % unansweredMax] = nowMs;
      this.#say(encodeNumberFrame('beat', 'control', 0, beating.counter % 2 ** 32));
      beating.timer = timers.after(intervalMs, next);
    };
    next();
  }

  onBeat(listener: () => void): void {
    assert(this.#beatListener === undefined, 'a link has one listener of heartbeats');
    this.#beatListener = listener;
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
    this.#lastReceivedMs = Math.floor(this.#clock.monotonicMs());
    this.#receivedBytes += sizeBytes;
    if (this.#receivedBytes - this.#acknowledgedBytes < acknowledgeEveryBytes) return;
    this.#acknowledgedBytes = this.#receivedBytes;
    const total = this.#receivedBytes % 2 ** 32;
    this.signal(encodeNumberFrame('acknowledge', 'control', 0, total));
  }

  /** Handles one frame. Throws where it breaks a rule, or where a handler of ours fails. */
  receive(frame: Frame): void {
    if (this.#closed === undefined) this.#dispatch(frame);
  }

  /**
   * The other side broke the rules, or this one failed over what it sent: an assertion
   * that bytes from outside make fail ends this link, not the program and its other links.
   */
  breach(thrown: unknown): void {
    if (this.#closed !== undefined) {
      this.report('error', `after the end of the link: ${errorText(thrown)}`);
    } else if (thrown instanceof AssertionFailure) {
      this.report('error', `the link is closed, an assertion failed: ${errorText(thrown)}`);
      this.close({ code: 'LINK_FAILED', message: 'the other side failed' });
    } else {
      const code = thrown instanceof LinkError ? thrown.code : 'LINK_PROTOCOL';
      this.report('warn', `the link is closed: ${errorText(thrown)}`);
      this.close({ code, message: errorText(thrown) });
    }
  }

  // What a stream asks of its link.

  signal(frame: Uint8Array): void {
    if (this.#closed !== undefined) return;
    this.#signalBytes += frame.length;
    if (this.#signalBytes > signalBytesMax) {
      const message = `more than ${signalBytesMax} bytes wait for a side that does not read`;
      this.report('warn', `the link is closed: ${message}`);
      this.#finish({ code: 'LINK_QUEUE_FULL', message });
      this.#options.connection.destroy();
      return;
    }
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

  report(level: 'warn' | 'error', message: string): void {
    this.#options.logger.log(level, message, { peer: this.peer?.commonName });
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
        stream.credit(frame.number);
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
      case 'beat':
      case 'beat-answer':
        throw new LinkError('LINK_PROTOCOL', `a ${frame.kind} frame names a stream`);
    }
  }

  #dispatchLinkFrame(frame: Frame): void {
    switch (frame.kind) {
      case 'alive':
        return;
      case 'beat':
        this.#beatArrived(frame.number);
        return;
      case 'beat-answer':
        this.#beatAnswered(frame.number);
        return;
      case 'acknowledge': {
        const step = (frame.number - (this.#confirmedBytes % 2 ** 32) + 2 ** 32) % 2 ** 32;
        this.#confirmedBytes += step;
        if (this.#confirmedBytes > this.#sentBytes) {
          throw new LinkError('LINK_PROTOCOL', 'the other side confirms what was never sent');
        }
        this.#planFlush();
        return;
      }
      case 'close':
        this.#finish(decodeFailure(frame.payload));
        this.#options.connection.destroy();
        return;
      case 'hello':
      case 'open':
      case 'data':
      case 'message':
      case 'credit':
      case 'end':
      case 'fail':
        throw new LinkError('LINK_PROTOCOL', `a ${frame.kind} frame names no stream`);
    }
  }

  #beatArrived(counter: number): void {
    if (this.#options.role === 'child') {
      throw new LinkError('LINK_PROTOCOL', 'only the child sends heartbeats');
    }
    this.#beatListener?.();
    this.#say(encodeNumberFrame('beat-answer', 'control', 0, counter));
  }

  #beatAnswered(low: number): void {
    const beating = this.#beating;
    const counter = beating === undefined ? -1 : beating.counter - ((beating.counter - low) >>> 0);
    if (beating === undefined || counter <= 0) {
      throw new LinkError('LINK_PROTOCOL', 'a heartbeat was answered that was never sent');
    }
    if (counter <= beating.answered) return;
    beating.answered = counter;
    const { onAnswered, unansweredMax } = beating.heartbeat;
    onAnswered(beating.sentMs[counter % unansweredMax] ?? 0);
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
      this.report('warn', `the handler of ${method} failed: ${errorText(thrown)}`);
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

  /** A signal that goes at once where nothing else waits to go with it. */
  #say(frame: Uint8Array): void {
    if (this.#isFlushPlanned || this.#signalBytes > 0 || this.#connection.bufferedBytes() > 0) {
      this.signal(frame);
      return;
    }
    this.#sentBytes += frame.length;
    this.#lastSentMs = Math.floor(this.#clock.monotonicMs());
    this.#connection.write(frame);
  }

  /** Frames of one turn leave together: one write costs one TLS record. */
  #planFlush(): void {
    if (this.#isFlushPlanned || this.#closed !== undefined) return;
    this.#isFlushPlanned = true;
    void thisTurn.then(this.#flushNow);
  }

  #flush(): void {
    try {
      while (this.#closed === undefined && this.#writeBatch());
    } catch (thrown) {
      this.breach(thrown);
    }
  }

  /** One write of all that may go now; false where there is nothing, or no room for it. */
  #writeBatch(): boolean {
    if (this.#signals.length === 0 && !this.#isAnyReady()) return false;
    const bufferedBytes = this.#connection.bufferedBytes();
    if (bufferedBytes >= connectionBufferedBytesMax) return false;
    const batch = this.#signals;
    let batchBytes = this.#signalBytes;
    this.#signals = [];
    this.#signalBytes = 0;
    while (bufferedBytes + batchBytes < connectionBufferedBytesMax) {
      const frame = this.#nextFrame(batchBytes);
      if (frame === undefined) break;
      batch.push(frame);
      batchBytes += frame.length;
    }
    if (batchBytes === 0) return false;
    this.#sentBytes += batchBytes;
    this.#lastSentMs = Math.floor(this.#clock.monotonicMs());
    this.#connection.write(batch.length === 1 && batch[0] ? batch[0] : concatBytes(batch));
    return true;
  }

  #isAnyReady(): boolean {
    const { control, status, telemetry, bulk } = this.#readyByLane;
    return control.length > 0 || status.length > 0 || telemetry.length > 0 || bulk.length > 0;
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

  /** Ends a link that has fallen silent; says a word where this side was silent. */
  checkLiveness(): void {
    if (this.#closed !== undefined) return;
    const { clock, limits, connection } = this.#options;
    const nowMs = clock.monotonicMs();
    const silentMs = nowMs - this.#lastReceivedMs;
    if (silentMs >= limits.livenessTimeoutMs) {
      const message = `nothing was heard for ${Math.round(silentMs)} ms`;
      this.#finish({ code: 'LINK_IDLE', message });
      connection.destroy();
    } else if (nowMs - this.#lastSentMs >= this.#aliveEveryMs / 2) {
      this.signal(encodeFrame('alive', 'control', 0));
    }
  }

  #finish(failure: StreamFailure): void {
    if (this.#closed !== undefined) return;
    this.#closed = { failure };
    this.#liveness.remove(this);
    this.#beating?.timer?.cancel();
    this.#signals = [];
    this.#signalBytes = 0;
    for (const stream of this.#streams.values()) this.#attempt(() => stream.close(failure));
    for (const lane of lanes) this.#readyByLane[lane].length = 0;
    for (const listener of this.#closeListeners) this.#attempt(() => listener(failure));
  }

  /** One listener that fails keeps no other from hearing of the end. */
  #attempt(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.report('error', `at the end of the link: ${errorText(thrown)}`);
    }
  }
}
