/** The address of this machine by which others reach it: for node ports, and for people. */
import { networkInterfaces } from 'node:os';
import type { Address } from '#platform/io/mod.ts';

const loopback = '127.0.0.1';

/** What of an interface matters, as Node tells it. */
export interface InterfaceAddress {
  readonly address: string;
  readonly netmask: string;
  readonly family: string;
  readonly internal: boolean;
}

/**
 * The one in the hub's own network, else the first that is not internal. Where the
 * hub is on this machine it is the loopback address: there is nobody else to reach it.
 */
export function machineAddress(
  hub: Address,
  addresses: readonly InterfaceAddress[] = ownAddresses(),
): string {
  if (hub.host === 'localhost' || hub.host.startsWith('127.')) return loopback;
  const outer = addresses.filter(({ family, internal }) => family === 'IPv4' && !internal);
  const near = outer.find(({ address, netmask }) => isSameNetwork(address, hub.host, netmask));
  return (near ?? outer[0])?.address ?? loopback;
}

function ownAddresses(): readonly InterfaceAddress[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
}

function isSameNetwork(left: string, right: string, netmask: string): boolean {
  const [a, b, mask] = [left, right, netmask].map((text) => text.split('.').map(Number));
  return (
    a !== undefined &&
    b?.length === 4 &&
    mask?.every((bits, at) => ((a[at] ?? 0) & bits) === ((b[at] ?? 0) & bits)) === true
  );
}
