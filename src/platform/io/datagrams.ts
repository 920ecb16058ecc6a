/**
 * Messages without a connection (UDP), as name resolution uses them. Any of them
 * may be lost, and nobody is told.
 */
import type { Address } from './net.ts';

/** A longer one does not fit into an IP packet. */
export const datagramBytesMax = 65_507;

export interface DatagramSocket {
  /** The address really bound. */
  readonly address: Address;
  /** At most `datagramBytesMax`. Never throws over `to`: what cannot be sent there is lost. */
  send(bytes: Uint8Array, to: Address): void;
  /** Messages that came before the first listener are lost. */
  onMessage(listener: (bytes: Uint8Array, from: Address) => void): void;
  close(): Promise<void>;
}

export interface Datagrams {
  /** Port 0 asks for any free one. Rejects with NetError NET_ADDRESS_IN_USE or NET_IO. */
  bind(options: {
    readonly address: Address;
    /** Other processes take the same address in this way; a sender's messages stay with one of them. */
    readonly isShared?: boolean;
  }): Promise<DatagramSocket>;
}
