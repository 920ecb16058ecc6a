/** Who is nearest: the same node, the same site, the same region, anywhere. */

export interface Place {
  readonly nodeName: string | undefined;
  readonly site: string | undefined;
  readonly region: string | undefined;
}

interface Candidate extends Place {
  readonly isReady: boolean;
  readonly isServing: boolean;
}

/** 0 is the node itself. */
export function distance(here: Place, there: Place): number {
  const isSame = (left: string | undefined, right: string | undefined): boolean =>
    left !== undefined && left === right;
  if (isSame(here.nodeName, there.nodeName)) return 0;
  if (isSame(here.site, there.site)) return 1;
  if (isSame(here.region, there.region)) return 2;
  return 3;
}

/**
 * All who may be tried, best first. Those that are ready; where none is, those that
 * still answer though they are on their way out. `turn` rises with every call, so
 * that equally near ones take turns.
 */
export function inOrderOfNearness<Kind extends Candidate>(
  here: Place,
  candidates: readonly Kind[],
  turn: number,
): readonly Kind[] {
  const ready = candidates.filter(({ isReady }) => isReady);
  const usable = ready.length > 0 ? ready : candidates.filter(({ isServing }) => isServing);
  const groups: Kind[][] = [[], [], [], []];
  for (const candidate of usable) groups[distance(here, candidate)]?.push(candidate);
  return groups.flatMap((group) => {
    const start = group.length === 0 ? 0 : turn % group.length;
    return [...group.slice(start), ...group.slice(0, start)];
  });
}
