/** From a connection to a session: the handshake, and its refusal. */
import { errorText } from '#base/mod.ts';
import type { Clock, Connection, Logger, Timer, Timers } from '#platform/io/mod.ts';
import { LinkError } from './errors.ts';
import { encodeFrame, FrameReader, type Frame } from './frames.ts';
import {
  agreeVersion,
  decodeFailure,
  decodeHello,
  encodeFailure,
  encodeHello,
} from './handshake.ts';
import { defaultLinkLimits, type LinkLimits } from './limits.ts';
import type { LivenessWatch } from './liveness.ts';
import { Session } from './session.ts';
import type { LinkSession, StreamHandler } from './types.ts';

export interface LinkDependencies {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Of a side with many links; used where it looks often enough for the other side. */
  readonly liveness?: LivenessWatch;
}

export interface LinkOptions {
  readonly role: 'parent' | 'child';
  /** Name and version of this program, for people. */
  readonly product: string;
  /** Called for every stream that the other side opens. */
  readonly onStream: StreamHandler;
  /** Called once, before any stream of the other side is handed over. */
  readonly onOpen?: (session: LinkSession) => void;
  readonly limits?: Partial<LinkLimits>;
  /** For an overloaded parent: refuse now, and ask the child to come back after this. */
  readonly comeBackAfterMs?: number;
}

/**
 * Exchanges the handshake over a fresh connection and takes the connection
 * over. Rejects with LinkError (LINK_VERSION, LINK_REFUSED with comeBackAfterMs,
 * LINK_HANDSHAKE_TIMEOUT, LINK_PROTOCOL, LINK_CLOSED); the connection is then closed.
 */
export function openLink(
  dependencies: LinkDependencies,
  options: LinkOptions,
): Promise<LinkSession> {
  const { connection, timers, logger } = dependencies;
  const limits: LinkLimits = { ...defaultLinkLimits, ...options.limits };
  return new Promise((resolve, reject) => {
    let session: Session | undefined;
    let isOver = false;
    let graceTimer: Timer | undefined;
    const reader = new FrameReader();

    const giveUp = (thrown: unknown, tellOther: boolean): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      const error =
        thrown instanceof LinkError ? thrown : new LinkError('LINK_PROTOCOL', errorText(thrown));
      if (tellOther) connection.write(encodeFrame('close', 'control', 0, encodeFailure(error)));
      connection.end();
      // The other side has what it needs, or never will.
      graceTimer = timers.after(1000, () => connection.destroy());
      reject(error);
    };

    const timer = timers.after(limits.handshakeTimeoutMs, () => {
      const text = `no handshake within ${limits.handshakeTimeoutMs} ms`;
      giveUp(new LinkError('LINK_HANDSHAKE_TIMEOUT', text), true);
    });

    const begin = (frame: Frame): void => {
      if (frame.kind === 'close') {
        const failure = decodeFailure(frame.payload);
        giveUp(new LinkError(failure.code, failure.message), false);
        return;
      }
      if (frame.kind !== 'hello') {
        throw new LinkError('LINK_PROTOCOL', 'the first frame is not a handshake');
      }
      const remote = decodeHello(frame.payload);
      if (remote.role === options.role) {
        throw new LinkError('LINK_PROTOCOL', `both sides are the ${remote.role}`);
      }
      const protocolVersion = agreeVersion(options.role, remote);
      if (remote.comeBackAfterMs !== undefined) {
        const text = `the parent asks to come back after ${remote.comeBackAfterMs} ms`;
        giveUp(new LinkError('LINK_REFUSED', text, remote.comeBackAfterMs), false);
        return;
      }
      if (options.comeBackAfterMs !== undefined) {
        const text = `refused for ${options.comeBackAfterMs} ms`;
        giveUp(new LinkError('LINK_REFUSED', text, options.comeBackAfterMs), false);
        return;
      }
      timer.cancel();
      session = new Session({
        ...dependencies,
        liveness: dependencies.liveness,
        role: options.role,
        limits,
        remote,
        protocolVersion,
        onStream: options.onStream,
      });
      try {
        options.onOpen?.(session);
      } catch (thrown) {
        reject(new LinkError('LINK_FAILED', errorText(thrown)));
        throw thrown;
      }
      resolve(session);
    };

    const take = (frame: Frame): void => {
      if (session !== undefined) session.receive(frame);
      else if (!isOver) begin(frame);
    };
    connection.onData((bytes) => {
      if (isOver) return;
      session?.noteReceived(bytes.length);
      try {
        reader.push(bytes, take);
      } catch (thrown) {
        if (session === undefined) giveUp(thrown, true);
        else session.breach(thrown);
      }
    });
    connection.onClose((error) => {
      graceTimer?.cancel();
      if (session !== undefined) session.connectionClosed(error);
      else {
        const detail = error === undefined ? '' : `: ${errorText(error)}`;
        logger.log('debug', 'a connection was closed before its handshake was complete');
        giveUp(new LinkError('LINK_CLOSED', `the connection was closed${detail}`), false);
      }
    });
    connection.write(
      encodeFrame(
        'hello',
        'control',
        0,
        encodeHello(options.role, options.product, limits, options.comeBackAfterMs),
      ),
    );
  });
}
