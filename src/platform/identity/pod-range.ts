/**
 * Address ranges of nodes: within a network of the fleet such as `127.1`, the
 * lowest free of 127.1.1.0/24 to 127.1.254.0/24, then of 127.2.…, and so on.
 */
import { assert } from '#base/mod.ts';

const rangesPerBlock = 254;
/** The last second number of an address that a range may have. */
const blockLast = 254;

function networkOf(podNetwork: string): { readonly first: number; readonly block: number } {
  const match = /^(\d{1,3})\.(\d{1,3})$/.exec(podNetwork);
  assert(match !== null, 'a pod network is two numbers, such as 127.1');
  return { first: Number(match[1]), block: Number(match[2]) };
}

/** How many nodes a fleet with this network can have. */
export function podRangesMax(podNetwork: string): number {
  return (blockLast - networkOf(podNetwork).block + 1) * rangesPerBlock;
}

/** The lowest range that is not in `taken`; undefined where all are. */
export function lowestFreePodRange(
  podNetwork: string,
  taken: ReadonlySet<string>,
): string | undefined {
  const { first, block } = networkOf(podNetwork);
  for (let index = 0; index < podRangesMax(podNetwork); index += 1) {
    const second = block + Math.floor(index / rangesPerBlock);
    const range = `${first}.${second}.${(index % rangesPerBlock) + 1}.0/24`;
    if (!taken.has(range)) return range;
  }
  return undefined;
}
