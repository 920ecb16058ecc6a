/** Durations as people type them: `500ms`, `30s`, `10m`, `24h`, `7d`. */
import { InvalidArgumentError } from 'commander';

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A parser for one option's values. `bounds` is said to who typed something else. */
export function durationParser(
  minMs: number,
  maxMs: number,
  bounds: string,
): (text: string) => number {
  return (text) => {
    const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)$/.exec(text);
    const valueMs =
      match === null ? Number.NaN : Math.round(Number(match[1]) * (unitMs[match[2] ?? ''] ?? 0));
    if (!(valueMs >= minMs && valueMs <= maxMs)) {
      throw new InvalidArgumentError(`It takes a duration ${bounds}.`);
    }
    return valueMs;
  };
}
