/**
 * The formats of strings that schemas of declared kinds may name. A format that is not
 * listed here says nothing, as in Kubernetes.
 *
 * Invariant: no check takes more time than in proportion to the text.
 */
import { wallMsOf } from '../age-text.ts';
import { dnsLabelProblem, dnsSubdomainProblem, stringFormatProblem } from '../formats.ts';
import { durationNanosOf } from './cel/time.ts';

type Check = (text: string) => boolean;

const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const datePattern = /^\d{4}-\d{2}-\d{2}$/;
const mac = /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i;
const hexColor = /^#?(?:[0-9a-f]{3}|[0-9a-f]{6})$/i;
const email = /^[^\s@<>"(),:;[\]\\]{1,64}@[^\s@]{1,253}$/;

const checks: Readonly<Record<string, readonly [check: Check, wanted: string]>> = {
  'date-time': [
    (text) => wallMsOf(text) !== undefined,
    "an RFC 3339 instant (such as '2026-01-31T12:00:00Z')",
  ],
  datetime: [(text) => wallMsOf(text) !== undefined, 'an RFC 3339 instant'],
  date: [isDate, "a date (such as '2026-01-31')"],
  duration: [
    (text) => durationNanosOf(text) !== undefined,
    "a duration (such as '1h30m' or '250ms')",
  ],
  byte: [(text) => stringFormatProblem('byte', text) === undefined, 'base64 with padding'],
  ipv4: [isIpv4, "an IPv4 address (such as '192.0.2.1')"],
  ipv6: [isIpv6, "an IPv6 address (such as '2001:db8::1')"],
  ip: [isIpAddress, 'an IP address'],
  cidr: [isNetwork, "a network (such as '192.0.2.0/24')"],
  mac: [(text) => mac.test(text), "a MAC address (such as '02:00:00:00:00:01')"],
  uri: [isUri, "a URI (such as 'https://example.com/path')"],
  email: [(text) => email.test(text), 'an email address'],
  hostname: [
    (text) => dnsSubdomainProblem(text.toLowerCase()) === undefined,
    "a host name (such as 'example.com')",
  ],
  uuid: [(text) => uuid.test(text), 'a UUID'],
  uuid3: [(text) => uuid.test(text), 'a UUID'],
  uuid4: [(text) => uuid.test(text), 'a UUID'],
  uuid5: [(text) => uuid.test(text), 'a UUID'],
  hexcolor: [(text) => hexColor.test(text), "a colour (such as '#336699')"],
  'k8s-short-name': [(text) => dnsLabelProblem(text) === undefined, 'a DNS label'],
  'k8s-long-name': [(text) => dnsSubdomainProblem(text) === undefined, 'a DNS subdomain'],
};

/** What is wrong with a text of that format, or undefined. */
export function customFormatProblem(format: string, text: string): string | undefined {
  const known = Object.hasOwn(checks, format) ? checks[format] : undefined;
  if (known === undefined || known[0](text)) return undefined;
  return `must be ${known[1]}`;
}

function isDate(text: string): boolean {
  return datePattern.test(text) && wallMsOf(`${text}T00:00:00Z`) !== undefined;
}

export function isIpAddress(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

function isIpv4(text: string): boolean {
  const parts = text.split('.', 5);
  return (
    parts.length === 4 &&
    parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
  );
}

function isIpv6(text: string): boolean {
  if (text.length > 45 || !text.includes(':')) return false;
  const halves = text.split('::');
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [at, half] of halves.entries()) {
    if (half === '') continue;
    const parts = half.split(':');
    for (const [position, part] of parts.entries()) {
      const isLast = at === halves.length - 1 && position === parts.length - 1;
      if (isLast && part.includes('.')) {
        if (!isIpv4(part)) return false;
        groups += 2;
      } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups += 1;
      else return false;
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}

export function isNetwork(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return false;
  const [address, bits] = [text.slice(0, slash), text.slice(slash + 1)];
  if (!/^\d{1,3}$/.test(bits)) return false;
  return isIpv4(address) ? Number(bits) <= 32 : isIpv6(address) && Number(bits) <= 128;
}

function isUri(text: string): boolean {
  return text.startsWith('/') || URL.canParse(text);
}
