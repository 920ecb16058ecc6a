/**
 * Byte streams between processes, with the peer's verified identity handed over.
 *
 * Invariants:
 * 1. `peer` is set only after the certificate was verified against the given
 *    trust, its validity and the caller's `isRevoked` were checked, on every
 *    connection, resumed or not.
 * 2. Bytes arrive in order and once, or the connection closes.
 * 3. `onClose` is called exactly once, after the last `onData`.
 */
import { SelvageError } from '#base/mod.ts';

export type NetErrorCode =
  | 'NET_REFUSED'
  | 'NET_TIMEOUT'
  | 'NET_UNTRUSTED'
  | 'NET_CLOSED'
  | 'NET_ADDRESS_IN_USE'
  | 'NET_IO';

/** Raised by Net, HttpServer.listen and HttpClient. All but NET_UNTRUSTED are worth another try. */
export class NetError extends SelvageError {
  override readonly name = 'NetError';
  declare readonly code: NetErrorCode;
}

export interface PeerIdentity {
  readonly commonName: string;
  /** `O` of the subject: the groups of the user. */
  readonly organizations: readonly string[];
  /** URI names of the certificate (SPIFFE ids). */
  readonly uris: readonly string[];
  /** Lower-case hexadecimal. */
  readonly serialNumber: string;
  readonly notAfterMs: number;
}

export interface Address {
  readonly host: string;
  /** 0 asks for any free port when listening. */
  readonly port: number;
}

export interface Connection {
  readonly peer: PeerIdentity | undefined;
  readonly remoteAddress: string;
  /**
   * Queues the bytes, which nobody may change afterwards; the caller watches
   * `bufferedBytes` and bounds it.
   */
  write(bytes: Uint8Array): void;
  /** Bytes given to `write` that have not left this process. */
  bufferedBytes(): number;
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Called when what `bufferedBytes` has shown to wait has left: it is zero again. */
  onDrain(listener: () => void): void;
  onClose(listener: (error: Error | undefined) => void): void;
  /** Stop and continue calling `onData`; what arrives meanwhile stays in the peer's window. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once and drops what is queued. */
  destroy(): void;
}

/** PEM texts of this side's certificate (with its chain) and private key. */
export interface Credentials {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface ServerTls {
  readonly credentials: Credentials;
  /** PEM of the authorities whose client certificates are believed. */
  readonly trustPem: string;
  /** `require`: no connection without a valid client certificate. `request`: peer may be undefined. */
  readonly clientCertificate: 'require' | 'request';
  readonly isRevoked?: (serialNumber: string) => boolean;
}

export interface ClientTls {
  /** Absent for a client that has none yet (joining). */
  readonly credentials?: Credentials;
  readonly trustPem: string;
  /** Name the server's certificate must carry; defaults to the host. */
  readonly serverName?: string;
}

export interface Listener {
  /** The address really bound. */
  readonly address: Address;
  /** Stops accepting and destroys the open connections. */
  close(): Promise<void>;
}

export interface Net {
  listen(
    options: {
      readonly address: Address;
      readonly tls: ServerTls;
      readonly connectionsMax: number;
    },
    onConnection: (connection: Connection) => void,
  ): Promise<Listener>;
  /** Rejects with NetError when refused, timed out or not trusted. */
  connect(options: {
    readonly address: Address;
    readonly tls: ClientTls;
    readonly timeoutMs: number;
  }): Promise<Connection>;
}
