/**
 * Where services get their addresses and node ports from.
 *
 * A service network is the first two numbers of an address, as in `127.129`. What
 * the third says:
 *   0          addresses of services, taken first
 *   1 to 200   the same services as one node sees them, where nodes share a
 *              machine: `127.129.7.4` is on node 7 what `127.129.0.4` is
 *   201 to 255 addresses of further services; they have no address by node
 *
 * Invariants:
 * 1. No two services have one address or one node port.
 * 2. What a service is given follows from its name unless that is taken, so that a
 *    service which is deleted and made again is most likely found where it was.
 */
import { hash } from 'node:crypto';

export const nodePortMin = 30_000;
export const nodePortMax = 32_767;
const hostsMax = 254;
const furtherThirds = Array.from({ length: 55 }, (_, index) => 201 + index);
const aliasedNodesMax = 200;

/** The network that belongs to a pod network, where none is given: in its upper half. */
export function serviceNetworkFor(podNetwork: string): string {
  const [first = '127', second = '1'] = podNetwork.split('.');
  const number = (Number(second) + 128) % 256;
  // The machine's own loopback address is in 127.0.
  return `${first}.${number === 0 ? 64 : number}`;
}

export function isServiceAddress(serviceNetwork: string, address: string): boolean {
  const { third, host } = partsOf(serviceNetwork, address) ?? { third: -1, host: 0 };
  return (third === 0 || furtherThirds.includes(third)) && host >= 1 && host <= hostsMax;
}

/** A free address; undefined where all are taken. `name` is `namespace/name` of the service. */
export function freeServiceAddress(
  serviceNetwork: string,
  name: string,
  isTaken: (address: string) => boolean,
): string | undefined {
  const start = numberFrom(name) % hostsMax;
  for (const third of [0, ...furtherThirds]) {
    for (let step = 0; step < hostsMax; step += 1) {
      const address = `${serviceNetwork}.${third}.${((start + step) % hostsMax) + 1}`;
      if (!isTaken(address)) return address;
    }
  }
  return undefined;
}

/** A free node port; undefined where all are taken. */
export function freeNodePort(name: string, isTaken: (port: number) => boolean): number | undefined {
  const count = nodePortMax - nodePortMin + 1;
  const start = numberFrom(name) % count;
  for (let step = 0; step < count; step += 1) {
    const port = nodePortMin + ((start + step) % count);
    if (!isTaken(port)) return port;
  }
  return undefined;
}

/**
 * The address by which one of several nodes on a machine serves the service of that
 * address; undefined where there is none. `nodeNumber` is the third number of the
 * node's pod range.
 */
export function serviceAddressOnNode(address: string, nodeNumber: number): string | undefined {
  const match = /^(\d{1,3}\.\d{1,3})\.0\.(\d{1,3})$/u.exec(address);
  if (match === null || nodeNumber < 1 || nodeNumber > aliasedNodesMax) return undefined;
  return `${match[1]}.${nodeNumber}.${match[2]}`;
}

function partsOf(
  serviceNetwork: string,
  address: string,
): { readonly third: number; readonly host: number } | undefined {
  if (!address.startsWith(`${serviceNetwork}.`)) return undefined;
  const match = /^(\d{1,3})\.(\d{1,3})$/u.exec(address.slice(serviceNetwork.length + 1));
  return match === null ? undefined : { third: Number(match[1]), host: Number(match[2]) };
}

function numberFrom(name: string): number {
  const digest = hash('sha256', name, 'buffer');
  return ((digest[0] ?? 0) << 16) | ((digest[1] ?? 0) << 8) | (digest[2] ?? 0);
}
