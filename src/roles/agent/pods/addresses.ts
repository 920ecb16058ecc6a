/** Addresses of pods, out of the node's own range. */

/** The range `a.b.c.0/24` has the addresses 1 to 254; the last is the node's own, for names. */
const hostsMax = 253;

/** The lowest of the range that is not in `used`; undefined where there is none, or no range. */
export function lowestFreeAddress(
  podCidr: string | undefined,
  used: ReadonlySet<string>,
): string | undefined {
  const match = /^([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})\.0\/24$/.exec(podCidr ?? '');
  if (match === null) return undefined;
  for (let host = 1; host <= hostsMax; host += 1) {
    const address = `${match[1]}.${host}`;
    if (!used.has(address)) return address;
  }
  return undefined;
}
