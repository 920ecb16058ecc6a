/**
 * Lookers-on at the links that a server accepts: one object between it and each
 * connection, however many look, as a fleet has thousands that are written to all the time.
 */
import type { Connection, Net } from '#platform/io/mod.ts';

/** What one looker-on wants to know of one connection. */
export interface LinkEyes {
  /** Before something is written to it. */
  readonly onWrite?: () => void;
  /** Before what arrived on it is handed on. */
  readonly onRead?: () => void;
}

export type Looker = (commonName: string) => LinkEyes;

/** The same network, with every accepted connection looked at by all of them. */
export function watchAccepted(net: Net, lookers: readonly Looker[]): Net {
  return {
    listen: (options, onConnection) =>
      net.listen(options, (connection) => {
        const name = connection.peer?.commonName ?? '';
        onConnection(
          new WatchedConnection(
            connection,
            lookers.map((look) => look(name)),
          ),
        );
      }),
    connect: (options) => net.connect(options),
  };
}

class WatchedConnection implements Connection {
  readonly remoteAddress: string;
  readonly #connection: Connection;
  readonly #onWrite: readonly (() => void)[];
  readonly #onRead: readonly (() => void)[];

  constructor(connection: Connection, eyes: readonly LinkEyes[]) {
    this.#connection = connection;
    this.remoteAddress = connection.remoteAddress;
    this.#onWrite = eyes.flatMap(({ onWrite }) => onWrite ?? []);
    this.#onRead = eyes.flatMap(({ onRead }) => onRead ?? []);
  }

  get peer(): Connection['peer'] {
    return this.#connection.peer;
  }

  write(bytes: Uint8Array): void {
    for (const look of this.#onWrite) look();
    this.#connection.write(bytes);
  }

  bufferedBytes(): number {
    return this.#connection.bufferedBytes();
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#connection.onData((bytes) => {
      for (const look of this.#onRead) look();
      listener(bytes);
    });
  }

  onDrain(listener: () => void): void {
    this.#connection.onDrain(listener);
  }

  onClose(listener: (error: Error | undefined) => void): void {
    this.#connection.onClose(listener);
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  end(): void {
    this.#connection.end();
  }

  destroy(): void {
    this.#connection.destroy();
  }
}
