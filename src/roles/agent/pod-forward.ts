/**
 * Serves `pod.forward`: one connection to a port of a pod. Messages are its bytes;
 * an empty one says that a side sends nothing more.
 *
 * Invariants:
 * 1. Only addresses of pods that this node has taken up are reached.
 * 2. The connection and the stream end together, each direction by itself before that.
 * 3. What one side leaves unread is not read from the other.
 * 4. Every stream that took one of the `connectionsMax` places gives it back once, however it ends.
 */
import { errorText } from '#base/mod.ts';
import type { PlainConnection, PlainNet } from '#platform/io/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';

export interface PodForwardDependencies {
  readonly plainNet: PlainNet | undefined;
  /** Of a pod that this node has taken up. */
  readonly addressOf: (podUid: string) => string | undefined;
}

const connectionsMax = 128;
const connectTimeoutMs = 10_000;
const unreadBytesMax = 256 * 1024;
const pieceBytesMax = 64 * 1024;
const portMax = 65_535;

/** A handler of the streams that the hub opens. */
export function createPodForward({
  plainNet,
  addressOf,
}: PodForwardDependencies): (
  parameters: Readonly<Record<string, unknown>>,
  stream: LinkStream,
) => void {
  let connections = 0;

  async function open(
    stream: LinkStream,
    podUid: unknown,
    port: unknown,
    session: Session,
  ): Promise<void> {
    const host = typeof podUid === 'string' ? addressOf(podUid) : undefined;
    if (host === undefined) {
      stream.fail({ code: 'POD_NOT_FOUND', message: 'this node does not have that pod' });
      return;
    }
    const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0;
    if (!isPort || port > portMax || plainNet === undefined) {
      stream.fail({ code: 'FORWARD_REFUSED', message: `cannot connect to port ${String(port)}` });
      return;
    }
    const connection = await plainNet.connect({
      address: { host, port },
      timeoutMs: connectTimeoutMs,
    });
    if (session.isOver) {
      connection.destroy();
      return;
    }
    session.connection = connection;
    carry(stream, connection, session);
  }

  return ({ podUid, port }, stream) => {
    const session: Session = { connection: undefined, isOver: false, wake: () => {} };
    const connected = new Promise<void>((resolve) => {
      session.wake = resolve;
    });
    stream.onMessage((bytes) => connected.then(() => write(session, bytes)));
    stream.onClose((failure) => {
      session.isOver = true;
      session.wake();
      if (failure !== undefined) session.connection?.destroy();
    });
    if (connections >= connectionsMax) {
      const message = `at most ${connectionsMax} connections to pods are forwarded at a time`;
      stream.fail({ code: 'FORWARD_BUSY', message });
      return;
    }
    connections += 1;
    session.onGone = () => {
      connections -= 1;
    };
    open(stream, podUid, port, session)
      .catch((error: unknown) => {
        if (!session.isOver) stream.fail({ code: 'FORWARD_FAILED', message: errorText(error) });
      })
      .finally(() => {
        session.wake();
        // Where nothing came about; what did gives its place back at its own end.
        if (session.connection === undefined) session.onGone?.();
      });
  };
}

interface Session {
  connection: PlainConnection | undefined;
  isOver: boolean;
  wake: () => void;
  onGone?: () => void;
}

function carry(stream: LinkStream, connection: PlainConnection, session: Session): void {
  let sending = Promise.resolve();
  let unsent = 0;
  const send = (bytes: Uint8Array): void => {
    sending = sending.then(() => stream.send(bytes)).catch(() => undefined);
  };
  connection.onData((bytes) => {
    unsent += bytes.length;
    if (unsent >= unreadBytesMax) connection.pause();
    for (let at = 0; at < bytes.length; at += pieceBytesMax) {
      send(bytes.subarray(at, at + pieceBytesMax));
    }
    void sending.then(() => {
      unsent -= bytes.length;
      if (unsent < unreadBytesMax) connection.resume();
    });
  });
  connection.onEnd(() => send(new Uint8Array(0)));
  connection.onClose((error) => {
    session.onGone?.();
    void sending.then(() => {
      if (session.isOver) return;
      if (error === undefined) stream.end();
      else stream.fail({ code: 'FORWARD_RESET', message: errorText(error) });
    });
  });
}

function write({ connection }: Session, bytes: Uint8Array): void | Promise<void> {
  if (connection === undefined) return undefined;
  if (bytes.length === 0) {
    connection.end();
    return undefined;
  }
  connection.write(bytes);
  if (connection.bufferedBytes() < unreadBytesMax) return undefined;
  return new Promise((resolve) => {
    connection.onDrain(resolve);
    connection.onClose(() => resolve());
  });
}
