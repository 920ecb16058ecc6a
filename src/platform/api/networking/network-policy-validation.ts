/** What a schema cannot say about a network policy. */
import type { FieldError } from '../definition.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import { labelSelectorErrors } from '../selectors.ts';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from './network-policy.ts';

const portNumberMax = 65_535;
const portNamePattern = /^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/u;
const portNameLengthMax = 15;

export function validateNetworkPolicy({ spec }: NetworkPolicy): FieldError[] {
  const errors = labelSelectorErrors(spec.podSelector ?? {}, 'spec.podSelector');
  for (const [direction, side] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const) {
    for (const [position, rule] of (spec[direction] ?? []).entries()) {
      const field = `spec.${direction}[${position}]`;
      for (const [index, port] of (rule.ports ?? []).entries()) {
        errors.push(...portErrors(port, `${field}.ports[${index}]`));
      }
      for (const [index, peer] of (rule[side] ?? []).entries()) {
        errors.push(...peerErrors(peer, `${field}.${side}[${index}]`));
      }
    }
  }
  const types = spec.policyTypes ?? [];
  if (new Set(types).size !== types.length) {
    errors.push(fieldForbidden('spec.policyTypes', 'each direction may be named once'));
  }
  return errors;
}

function portErrors({ port, endPort }: NetworkPolicyPort, field: string): FieldError[] {
  if (port === undefined) {
    if (endPort === undefined) return [];
    return [fieldRequired(`${field}.port`, 'must be specified when `endPort` is')];
  }
  if (typeof port === 'string') {
    if (endPort !== undefined) {
      return [
        fieldForbidden(`${field}.endPort`, 'may not be specified when `port` is non-numeric'),
      ];
    }
    if (port.length <= portNameLengthMax && portNamePattern.test(port)) return [];
    const mend = `must be at most ${portNameLengthMax} lower case letters, digits and single '-', with a letter`;
    return [fieldInvalid(`${field}.port`, port, mend)];
  }
  if (!Number.isInteger(port) || port < 1 || port > portNumberMax) {
    return [fieldInvalid(`${field}.port`, port, `must be between 1 and ${portNumberMax}`)];
  }
  if (endPort === undefined || endPort >= port) return [];
  return [fieldInvalid(`${field}.endPort`, endPort, 'must be greater than or equal to `port`')];
}

function peerErrors(peer: NetworkPolicyPeer, field: string): FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const errors: FieldError[] = [];
  if (podSelector !== undefined) {
    errors.push(...labelSelectorErrors(podSelector, `${field}.podSelector`));
  }
  if (namespaceSelector !== undefined) {
    errors.push(...labelSelectorErrors(namespaceSelector, `${field}.namespaceSelector`));
  }
  const selects = podSelector !== undefined || namespaceSelector !== undefined;
  if (ipBlock === undefined) {
    return selects ? errors : [...errors, fieldRequired(field, 'must specify a peer')];
  }
  if (selects)
    return [...errors, fieldForbidden(field, 'may not specify both ipBlock and another peer')];
  const whole = blockOf(ipBlock.cidr);
  const mend = 'must be addresses with the same beginning, such as 10.9.8.0/24 or 2001:db8::/64';
  if (whole === undefined)
    return [...errors, fieldInvalid(`${field}.ipBlock.cidr`, ipBlock.cidr, mend)];
  for (const [index, text] of (ipBlock.except ?? []).entries()) {
    const path = `${field}.ipBlock.except[${index}]`;
    const part = blockOf(text);
    if (part === undefined) errors.push(fieldInvalid(path, text, mend));
    else if (!isStrictPart(part, whole)) {
      errors.push(fieldInvalid(path, text, 'must be a strict subset of `cidr`'));
    }
  }
  return errors;
}

/** The bits of an address, and how many of them are the same for all of the block. */
interface Block {
  readonly bits: string;
  readonly length: number;
}

function blockOf(cidr: string): Block | undefined {
  const [address = '', lengthText = '', ...rest] = cidr.split('/');
  if (rest.length > 0 || !/^\d{1,3}$/u.test(lengthText)) return undefined;
  const bits = address.includes(':') ? bitsOfSix(address) : bitsOfFour(address);
  const length = Number(lengthText);
  return bits === undefined || length > bits.length ? undefined : { bits, length };
}

function bitsOfFour(address: string): string | undefined {
  const parts = address.split('.');
  const isPart = (part: string): boolean => /^(0|[1-9]\d{0,2})$/u.test(part) && Number(part) < 256;
  if (parts.length !== 4 || !parts.every(isPart)) return undefined;
  return parts.map((part) => Number(part).toString(2).padStart(8, '0')).join('');
}

function bitsOfSix(address: string): string | undefined {
  const halves = address.split('::');
  if (halves.length > 2) return undefined;
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/iu.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('');
}

function isStrictPart(part: Block, whole: Block): boolean {
  return (
    part.bits.length === whole.bits.length &&
    part.length > whole.length &&
    part.bits.slice(0, whole.length) === whole.bits.slice(0, whole.length)
  );
}
