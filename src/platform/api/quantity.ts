/**
 * Amounts of resources as Kubernetes writes them: `100m`, `1.5Gi`, `12e6`.
 *
 * Invariants:
 * 1. Arithmetic is exact: an amount is a whole number of billionths (BigInt).
 * 2. Finer fractions round away from zero, so that an amount asked for is never
 *    rounded down to nothing.
 * 3. Formatting is canonical: equal amounts of one notation print the same text.
 */
import { ApiModelError } from './errors.ts';

export type QuantityNotation = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

export interface Quantity {
  /** Billionths of the unit. */
  readonly nano: bigint;
  /** How it was written, and so how it is printed. */
  readonly notation: QuantityNotation;
}

const quantityLengthMax = 64;
const exponentMax = 18;
const nanoPerUnit = 1_000_000_000n;
/** The largest amount that Kubernetes keeps: 2^63 - 1 units. */
const nanoMax = (2n ** 63n - 1n) * nanoPerUnit;

const decimalExponentOfSuffix: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binaryPowerOfSuffix: Readonly<Record<string, number>> = {
  Ki: 10,
  Mi: 20,
  Gi: 30,
  Ti: 40,
  Pi: 50,
  Ei: 60,
};
const decimalSuffixesFromLargest = Object.entries(decimalExponentOfSuffix).toReversed();
const binarySuffixesFromLargest = Object.entries(binaryPowerOfSuffix).toReversed();

const quantityPattern =
  /^(?<sign>[+-]?)(?<whole>\d*)(?:\.(?<fraction>\d*))?(?:(?<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?<exponent>[+-]?\d{1,3}))?$/;

/** Undefined where `text` is not an amount. A JSON number stands for its decimal text. */
export function tryParseQuantity(text: string | number): Quantity | undefined {
  const source = typeof text === 'number' ? String(text) : text;
  if (source.length === 0 || source.length > quantityLengthMax) return undefined;
  const parts = quantityPattern.exec(source)?.groups;
  if (parts === undefined) return undefined;
  const whole = parts['whole'] ?? '';
  const fraction = parts['fraction'] ?? '';
  if (whole === '' && fraction === '') return undefined;
  const suffix = parts['suffix'] ?? '';
  const binaryPower = binaryPowerOfSuffix[suffix];
  const exponent = parts['exponent'];
  let numerator = BigInt(`${whole}${fraction}`) * nanoPerUnit;
  let tens = -fraction.length;
  let notation: QuantityNotation = 'DecimalSI';
  if (binaryPower !== undefined) {
    numerator *= 2n ** BigInt(binaryPower);
    notation = 'BinarySI';
  } else if (exponent !== undefined) {
    const power = Number(exponent);
    if (Math.abs(power) > exponentMax) return undefined;
    tens += power;
    notation = 'DecimalExponent';
  } else {
    tens += decimalExponentOfSuffix[suffix] ?? 0;
  }
  if (tens >= 0) numerator *= 10n ** BigInt(tens);
  else numerator = divideUp(numerator, 10n ** BigInt(-tens));
  if (numerator > nanoMax) numerator = nanoMax;
  return { nano: parts['sign'] === '-' ? -numerator : numerator, notation };
}

/** Throws ApiModelError (API_QUANTITY_INVALID) where `text` is not an amount. */
export function parseQuantity(text: string | number): Quantity {
  const quantity = tryParseQuantity(text);
  if (quantity === undefined) {
    throw new ApiModelError(
      'API_QUANTITY_INVALID',
      `${JSON.stringify(text)} is not a quantity: expected a number with an optional suffix, such as 500m, 2, 1.5Gi or 10e6`,
    );
  }
  return quantity;
}

/** Negative, zero or positive as `left` is below, equal to or above `right`. */
export function compareQuantities(left: Quantity, right: Quantity): number {
  if (left.nano === right.nano) return 0;
  return left.nano < right.nano ? -1 : 1;
}

/** The sum, in the notation of `left` unless that is zero. */
export function addQuantities(left: Quantity, right: Quantity): Quantity {
  return {
    nano: left.nano + right.nano,
    notation: left.nano === 0n ? right.notation : left.notation,
  };
}

/** Thousandths, rounded up; exact up to 2^53 of them and saturated beyond. For CPU. */
export function milliUnitsOf(quantity: Quantity): number {
  return saturated(divideUpSigned(quantity.nano, 1_000_000n));
}

/** The canonical text: no fraction, the largest suffix that keeps it whole. */
export function formatQuantity(quantity: Quantity): string {
  const { nano, notation } = quantity;
  if (nano === 0n) return '0';
  const magnitude = nano < 0n ? -nano : nano;
  const sign = nano < 0n ? '-' : '';
  if (
    notation === 'BinarySI' &&
    magnitude % nanoPerUnit === 0n &&
    magnitude >= 1024n * nanoPerUnit
  ) {
    const units = magnitude / nanoPerUnit;
    for (const [suffix, power] of binarySuffixesFromLargest) {
      const step = 2n ** BigInt(power);
      if (units % step === 0n) return `${sign}${units / step}${suffix}`;
    }
    return `${sign}${units}`;
  }
  for (const [suffix, exponent] of decimalSuffixesFromLargest) {
    const step = 10n ** BigInt(exponent + 9);
    if (magnitude % step !== 0n) continue;
    const tail = notation === 'DecimalExponent' && exponent !== 0 ? `e${exponent}` : suffix;
    return `${sign}${magnitude / step}${tail}`;
  }
  return `${sign}${magnitude}n`;
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}

function divideUpSigned(dividend: bigint, divisor: bigint): bigint {
  return dividend > 0n ? divideUp(dividend, divisor) : dividend / divisor;
}

function saturated(value: bigint): number {
  const largest = BigInt(Number.MAX_SAFE_INTEGER);
  if (value > largest) return Number.MAX_SAFE_INTEGER;
  return value < -largest ? -Number.MAX_SAFE_INTEGER : Number(value);
}
