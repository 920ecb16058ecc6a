/**
 * What a pod does when its node is cut off from the hub, as the annotation
 * `selvage.dev/on-cut` says: `keep` (also where it is absent) or
 * `stop-after=<duration>`.
 */
import type { FieldError } from '../definition.ts';

export const onCutAnnotation = 'selvage.dev/on-cut';
/** A week: a pod that may go on for longer than that may as well be kept. */
const stopAfterMsMax = 7 * 86_400_000;
const stopAfterMsMin = 1_000;
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds without the hub after which the node stops the pod; undefined for
 * `keep`. An unreadable text counts as `keep`: validation refuses it at the door.
 */
export function stopAfterMsOf(
  annotations: Readonly<Record<string, unknown>> | undefined,
): number | undefined {
  const text = annotations?.[onCutAnnotation];
  return typeof text === 'string' ? parse(text)?.stopAfterMs : undefined;
}

/** `field` is the path of the annotations: `metadata.annotations`. */
export function validateOnCut(
  annotations: Readonly<Record<string, string>> | undefined,
  field: string,
): FieldError[] {
  const text = annotations?.[onCutAnnotation];
  if (text === undefined || parse(text) !== undefined) return [];
  return [
    {
      field: `${field}[${onCutAnnotation}]`,
      reason: 'FieldValueInvalid',
      message: `${JSON.stringify(text.slice(0, 64))} is neither "keep" nor "stop-after=" and a duration from 1s to 168h, e.g. "stop-after=30s"`,
    },
  ];
}

function parse(text: string): { readonly stopAfterMs: number | undefined } | undefined {
  if (text === 'keep') return { stopAfterMs: undefined };
  const match = /^stop-after=([0-9]{1,9})(ms|s|m|h)$/.exec(text);
  if (match === null) return undefined;
  const stopAfterMs = Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
  return stopAfterMs >= stopAfterMsMin && stopAfterMs <= stopAfterMsMax
    ? { stopAfterMs }
    : undefined;
}
