/** Sets of completion indexes as the text that a job's status has them in: `1,3-5`. */

/**
 * Those below `count`. What is not of that form is left out. Ranges may overlap as often
 * as they like: anybody who may write a status wrote the text.
 */
export function parseIndexes(text: string, count: number): Set<number> {
  const ranges: (readonly [first: number, last: number])[] = [];
  for (const part of text.split(',')) {
    const match = /^(\d{1,6})(?:-(\d{1,6}))?$/u.exec(part);
    if (match === null) continue;
    const first = Number(match[1]);
    ranges.push([first, match[2] === undefined ? first : Number(match[2])]);
  }
  ranges.sort(([left], [right]) => left - right);
  const indexes = new Set<number>();
  let next = 0;
  for (const [first, last] of ranges) {
    const end = Math.min(last + 1, count);
    for (next = Math.max(next, first); next < end; next += 1) indexes.add(next);
  }
  return indexes;
}

export function formatIndexes(indexes: ReadonlySet<number>): string {
  const sorted = [...indexes].sort((left, right) => left - right);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; at += 1) {
    const first = sorted[at] ?? 0;
    let last = first;
    while (sorted[at + 1] === last + 1) {
      last += 1;
      at += 1;
    }
    // Two in a row are named one by one.
    parts.push(last === first ? `${first}` : `${first}${last === first + 1 ? ',' : '-'}${last}`);
  }
  return parts.join(',');
}
