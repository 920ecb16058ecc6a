/**
 * Address ranges of nodes: 127.1.<n>.0/24 for n from 1 to 254, then 127.2.…, and
 * so on, always the lowest that is free.
 */
const rangesPerBlock = 254;
const blocksMax = 254;
export const podRangesMax = rangesPerBlock * blocksMax;

function rangeAt(index: number): string {
  const block = Math.floor(index / rangesPerBlock) + 1;
  return `127.${block}.${(index % rangesPerBlock) + 1}.0/24`;
}

/** The lowest range that is not in `taken`; undefined where all are. */
export function lowestFreePodRange(taken: ReadonlySet<string>): string | undefined {
  for (let index = 0; index < podRangesMax; index += 1) {
    const range = rangeAt(index);
    if (!taken.has(range)) return range;
  }
  return undefined;
}
