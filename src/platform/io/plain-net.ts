/**
 * Byte streams without protection: for what stays on one machine, such as the
 * ports of its pods and the addresses of services. What goes between machines
 * goes through Net.
 *
 * Invariants:
 * 1. Bytes arrive in order and once, or the connection closes.
 * 2. Each direction ends by itself: after `end` this side still receives.
 * 3. `onEnd` comes at most once, after the last `onData`; `onClose` exactly once,
 *    after both, when nothing more goes either way.
 */
import type { Address, Listener } from './net.ts';

export interface PlainConnection {
  /** Where the other side says that it is. */
  readonly remoteAddress: Address;
  /** Queues the bytes; the caller watches `bufferedBytes` and bounds it. */
  write(bytes: Uint8Array): void;
  /** Bytes given to `write` that have not left this process. */
  bufferedBytes(): number;
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Called when `bufferedBytes` has fallen to zero after having been above it. */
  onDrain(listener: () => void): void;
  /** The other side sends nothing more. */
  onEnd(listener: () => void): void;
  onClose(listener: (error: Error | undefined) => void): void;
  /** Stop and continue calling `onData`; what arrives meanwhile stays in the peer's window. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends this direction. */
  end(): void;
  /** Closes both directions at once and drops what is queued; the other side sees a reset. */
  destroy(): void;
}

export interface PlainNet {
  /** Rejects with NetError NET_ADDRESS_IN_USE or NET_IO. */
  listen(
    options: {
      readonly address: Address;
      readonly connectionsMax: number;
      /** Others on this machine that say the same may listen there too; each connection reaches one. */
      readonly isShared?: boolean;
    },
    onConnection: (connection: PlainConnection) => void,
  ): Promise<Listener>;
  /** Rejects with NetError when refused, timed out or unreachable. */
  connect(options: {
    readonly address: Address;
    readonly timeoutMs: number;
  }): Promise<PlainConnection>;
}
