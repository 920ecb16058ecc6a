/**
 * The forms that names and values of the API take. Every check returns what is
 * wrong and what would be right, or undefined where nothing is.
 */
import { unreachable } from '#base/mod.ts';
import { wallMsOf } from './age-text.ts';
import { tryParseQuantity } from './quantity.ts';
import type { Schema } from './schema.ts';

export const dnsLabelLengthMax = 63;
export const dnsSubdomainLengthMax = 253;
export const labelValueLengthMax = 63;
export const qualifiedNameLengthMax = 63;

const dnsLabelPattern = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const dnsSubdomainPattern =
  /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const namePattern = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function dnsLabelProblem(value: string): string | undefined {
  if (value.length > dnsLabelLengthMax)
    return `must be no more than ${dnsLabelLengthMax} characters`;
  if (dnsLabelPattern.test(value)) return undefined;
  return "must consist of lower case letters, digits and '-', and start and end with a letter or digit (such as 'my-name')";
}

export function dnsSubdomainProblem(value: string): string | undefined {
  if (value.length > dnsSubdomainLengthMax) {
    return `must be no more than ${dnsSubdomainLengthMax} characters`;
  }
  if (dnsSubdomainPattern.test(value)) return undefined;
  return "must consist of lower case letters, digits, '-' and '.', and start and end with a letter or digit (such as 'example.com')";
}

/** Any one segment of a path. */
export function pathSegmentProblem(value: string): string | undefined {
  if (value === '.' || value === '..') return "must not be '.' or '..'";
  return /[/%]/.test(value) ? "must not contain '/' or '%'" : undefined;
}

export function labelValueProblem(value: string): string | undefined {
  if (value === '') return undefined;
  if (value.length > labelValueLengthMax) {
    return `must be no more than ${labelValueLengthMax} characters`;
  }
  if (namePattern.test(value)) return undefined;
  return "must be empty or consist of letters, digits, '-', '_' and '.', and start and end with a letter or digit (such as 'MyValue' or '12345')";
}

/** `name` or `prefix/name`, as label and annotation keys, finalizers and condition types are. */
export function qualifiedNameProblem(value: string): string | undefined {
  const slash = value.indexOf('/');
  const name = value.slice(slash + 1);
  if (slash === 0) return 'the prefix before the / must not be empty';
  if (slash > 0) {
    const problem = dnsSubdomainProblem(value.slice(0, slash));
    if (problem !== undefined) return `the prefix before the / ${problem}`;
  }
  if (name === '') return 'the name must not be empty';
  if (name.length > qualifiedNameLengthMax) {
    return `the name must be no more than ${qualifiedNameLengthMax} characters`;
  }
  if (namePattern.test(name)) return undefined;
  return "the name must consist of letters, digits, '-', '_' and '.', and start and end with a letter or digit (such as 'MyName', 'my.name' or 'example.com/my-name')";
}

/** What is wrong with a string of `format`; undefined for formats of numbers. */
export function stringFormatProblem(
  format: NonNullable<Schema['format']>,
  value: string,
): string | undefined {
  switch (format) {
    case 'dns-label':
      return dnsLabelProblem(value);
    case 'dns-subdomain':
      return dnsSubdomainProblem(value);
    case 'label-value':
      return labelValueProblem(value);
    case 'qualified-name':
      return qualifiedNameProblem(value);
    case 'date-time':
      if (wallMsOf(value) !== undefined) return undefined;
      return "must be an RFC 3339 instant (such as '2026-01-31T12:00:00Z')";
    case 'byte':
      return base64Pattern.test(value) ? undefined : 'must be base64 (RFC 4648) with padding';
    case 'quantity':
      if (tryParseQuantity(value) !== undefined) return undefined;
      return "must be a quantity: a number with an optional suffix (such as '500m', '2', '1.5Gi' or '10e6')";
    case 'int32':
    case 'int64':
    case 'double':
      return undefined;
    default:
      return unreachable(format);
  }
}

/** Length of well-formed text in bytes as UTF-8. */
export function byteLengthOf(text: string): number {
  let sizeBytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    // Two bytes up to U+07FF, three above; half of a pair counts two of the four of both.
    if (code > 0x7f) sizeBytes += code > 0x7ff && !(code >= 0xd800 && code < 0xe000) ? 2 : 1;
  }
  return sizeBytes;
}
