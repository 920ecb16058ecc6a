/**
 * How long a pod may take to end. Any number of seconds is taken, as elsewhere, and a pod
 * that was stored may ask for any: whoever counts a time from it counts from what is
 * answered here, which always has a date.
 */

export const podGraceSecondsDefault = 30;
/** More is taken and counts as this: a day. */
export const podGraceSecondsMax = 86_400;

/** `asked` is what a spec, a deletion or a probe says; what is no number counts as the default. */
export function podGraceSecondsOf(asked: unknown): number {
  if (typeof asked !== 'number' || Number.isNaN(asked)) return podGraceSecondsDefault;
  return Math.min(Math.max(0, asked), podGraceSecondsMax);
}
