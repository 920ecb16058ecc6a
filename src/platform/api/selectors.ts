/**
 * Label selectors (of query strings and of objects) and field selectors.
 *
 * Invariants: parsing is bounded; an unknown field or operator is refused, never
 * ignored, since a selector that selects too much deletes too much.
 */
import { isJsonObject, type Json, type JsonObject, unreachable } from '#base/mod.ts';
import type { FieldError, ResourceDefinition } from './definition.ts';
import {
  childPath,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  indexPath,
} from './field-errors.ts';
import { labelValueProblem, qualifiedNameProblem } from './formats.ts';
import type { ApiObject } from './object.ts';
import { StatusError } from './status-error.ts';

const selectorTextLengthMax = 16_384;
const requirementsMax = 200;
const valuesMax = 1_000;

export type LabelOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Empty for Exists and DoesNotExist. */
  readonly values: readonly string[];
}

/** All requirements must hold; none means that everything matches. */
export type LabelRequirements = readonly LabelRequirement[];

export interface FieldRequirement {
  /** Dotted path: `metadata.name`. */
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

export type FieldSelector = readonly FieldRequirement[];

export function matchesLabels(
  selector: LabelRequirements,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return selector.every((requirement) => {
    const value =
      labels !== undefined && Object.hasOwn(labels, requirement.key)
        ? labels[requirement.key]
        : undefined;
    return matchesRequirement(requirement, value);
  });
}

function matchesRequirement(requirement: LabelRequirement, value: string | undefined): boolean {
  const { operator, values } = requirement;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !integerPattern.test(value)) return false;
      const bound = Number(values[0]);
      return operator === 'Gt' ? Number(value) > bound : Number(value) < bound;
    }
    default:
      return unreachable(operator);
  }
}

const integerPattern = /^-?\d{1,15}$/;

/**
 * Parses `a=b,c!=d,e in (x,y),f notin (z),g,!h`. Empty text selects everything.
 * Throws StatusError 400 that names the part that cannot be read.
 */
export function parseLabelSelector(text: string): LabelRequirements {
  if (text.length > selectorTextLengthMax) {
    throw selectorRefused(text, `is longer than ${selectorTextLengthMax} characters`);
  }
  const parts = splitOutsideParentheses(text);
  if (parts.length > requirementsMax) {
    throw selectorRefused(text, `has more than ${requirementsMax} requirements`);
  }
  if (parts.length === 1 && parts[0]?.trim() === '') return [];
  return parts.map((part) => parseRequirement(part.trim(), text));
}

const setPattern = /^(?<key>[^\s=!<>(),]+)\s+(?<operator>in|notin)\s*\((?<values>[^()]*)\)$/;
const comparePattern =
  /^(?<key>[^\s=!<>(),]+)\s*(?<operator>==|=|!=|>|<)\s*(?<value>[^\s=!<>(),]*)$/;
const existPattern = /^(?<not>!)?\s*(?<key>[^\s=!<>(),]+)$/;

function parseRequirement(part: string, whole: string): LabelRequirement {
  const requirement = readRequirement(part);
  if (requirement === undefined) {
    throw selectorRefused(
      whole,
      `has ${JSON.stringify(part)}: expected key=value, key!=value, key in (a,b), key notin (a,b), key or !key`,
    );
  }
  const keyProblem = qualifiedNameProblem(requirement.key);
  if (keyProblem !== undefined) {
    throw selectorRefused(whole, `has the key ${JSON.stringify(requirement.key)}: ${keyProblem}`);
  }
  for (const value of requirement.values) {
    const problem = labelValueProblem(value);
    if (problem !== undefined) {
      throw selectorRefused(whole, `has the value ${JSON.stringify(value)}: ${problem}`);
    }
  }
  if (
    (requirement.operator === 'Gt' || requirement.operator === 'Lt') &&
    !integerPattern.test(requirement.values[0] ?? '')
  ) {
    throw selectorRefused(whole, `compares ${requirement.key} with something that is no integer`);
  }
  return requirement;
}

function readRequirement(part: string): LabelRequirement | undefined {
  const inSet = setPattern.exec(part)?.groups;
  if (inSet !== undefined) {
    const values = (inSet['values'] ?? '').split(',').map((value) => value.trim());
    if (values.length > valuesMax) return undefined;
    const operator = inSet['operator'] === 'in' ? 'In' : 'NotIn';
    return { key: inSet['key'] ?? '', operator, values };
  }
  const compared = comparePattern.exec(part)?.groups;
  if (compared !== undefined) {
    const operators = { '=': 'In', '==': 'In', '!=': 'NotIn', '>': 'Gt', '<': 'Lt' } as const;
    const operator = operators[compared['operator'] as keyof typeof operators];
    return { key: compared['key'] ?? '', operator, values: [compared['value'] ?? ''] };
  }
  const exists = existPattern.exec(part)?.groups;
  if (exists === undefined) return undefined;
  const operator = exists['not'] === undefined ? 'Exists' : 'DoesNotExist';
  return { key: exists['key'] ?? '', operator, values: [] };
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (character === '(') depth += 1;
    else if (character === ')') depth -= 1;
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

/** The text that `parseLabelSelector` reads back as the same selector. */
export function formatLabelSelector(selector: LabelRequirements): string {
  return selector.map(requirementText).join(',');
}

function requirementText({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'Gt':
      return `${key}>${values[0]}`;
    case 'Lt':
      return `${key}<${values[0]}`;
    default:
      return unreachable(operator);
  }
}

/**
 * The requirements of a LabelSelector object (matchLabels, matchExpressions)
 * that satisfies its schema. An absent one selects nothing: undefined.
 */
export function labelSelectorOf(selector: unknown): LabelRequirements | undefined {
  if (!isJsonObject(selector)) return undefined;
  const requirements: LabelRequirement[] = [];
  const labels = selector['matchLabels'];
  if (isJsonObject(labels)) {
    for (const [key, value] of Object.entries(labels)) {
      requirements.push({ key, operator: 'In', values: [text(value)] });
    }
  }
  const expressions = selector['matchExpressions'];
  for (const expression of Array.isArray(expressions) ? expressions : []) {
    if (!isJsonObject(expression)) continue;
    const values = Array.isArray(expression['values']) ? expression['values'] : [];
    requirements.push({
      key: text(expression['key']),
      operator: expression['operator'] as LabelOperator,
      values: values.map(text),
    });
  }
  return requirements;
}

/** A value that its schema says is text; anything else stands for nothing that matches. */
function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

const expressionOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

/** What is wrong with a LabelSelector object at `field` beyond its schema. */
export function labelSelectorErrors(selector: JsonObject, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const labels = selector['matchLabels'];
  for (const [key, value] of isJsonObject(labels) ? Object.entries(labels) : []) {
    const at = childPath(field, 'matchLabels');
    const keyProblem = qualifiedNameProblem(key);
    if (keyProblem !== undefined) errors.push(fieldInvalid(at, key, keyProblem));
    const valueProblem = labelValueProblem(text(value));
    if (valueProblem !== undefined) errors.push(fieldInvalid(`${at}[${key}]`, value, valueProblem));
  }
  const expressions = selector['matchExpressions'];
  for (const [index, expression] of (Array.isArray(expressions) ? expressions : []).entries()) {
    if (!isJsonObject(expression)) continue;
    const at = indexPath(childPath(field, 'matchExpressions'), index);
    const { key, operator, values } = expression;
    const count = Array.isArray(values) ? values.length : 0;
    const keyProblem = qualifiedNameProblem(text(key));
    if (keyProblem !== undefined) errors.push(fieldInvalid(`${at}.key`, key, keyProblem));
    if (!expressionOperators.includes(text(operator))) {
      errors.push(fieldNotSupported(`${at}.operator`, operator, expressionOperators));
    } else if (operator === 'In' || operator === 'NotIn') {
      if (count === 0) errors.push(fieldRequired(`${at}.values`, `${operator} needs at least one`));
    } else if (count > 0) {
      errors.push(fieldForbidden(`${at}.values`, `${text(operator)} takes no values`));
    }
  }
  return errors;
}

/**
 * Parses `metadata.name=X,status.phase!=Running`; `\,` `\=` and `\\` stand for
 * the characters. Refuses fields that the kind cannot be selected by (400).
 */
export function parseFieldSelector(text: string, definition: ResourceDefinition): FieldSelector {
  if (text.length > selectorTextLengthMax) {
    throw selectorRefused(text, `is longer than ${selectorTextLengthMax} characters`);
  }
  const requirements: FieldRequirement[] = [];
  for (const part of splitUnescaped(text)) {
    if (part.trim() === '') continue;
    const match = /^(?<field>[^=!\\]+?)\s*(?<operator>==|!=|=)(?<value>.*)$/s.exec(part.trim());
    const field = match?.groups?.['field'] ?? '';
    if (match === null) {
      throw selectorRefused(
        text,
        `has ${JSON.stringify(part)}: expected field=value or field!=value`,
      );
    }
    if (fieldValueOf(definition, field) === undefined) {
      const known = [
        'metadata.name',
        'metadata.namespace',
        ...Object.keys(definition.selectableFields),
      ];
      throw selectorRefused(
        text,
        `names ${JSON.stringify(field)}, by which ${definition.plural} cannot be selected; use one of ${[...new Set(known)].join(', ')}`,
      );
    }
    const value = (match.groups?.['value'] ?? '').trim().replaceAll(/\\([,=\\])/g, '$1');
    requirements.push({ field, equal: match.groups?.['operator'] !== '!=', value });
    if (requirements.length > requirementsMax) {
      throw selectorRefused(text, `has more than ${requirementsMax} requirements`);
    }
  }
  return requirements;
}

export function matchesFields(
  selector: FieldSelector,
  definition: ResourceDefinition,
  object: ApiObject,
): boolean {
  return selector.every(({ field, equal, value }) => {
    const read = fieldValueOf(definition, field);
    return read !== undefined && (read(object) === value) === equal;
  });
}

function fieldValueOf(
  definition: ResourceDefinition,
  field: string,
): ((object: ApiObject) => string) | undefined {
  if (Object.hasOwn(definition.selectableFields, field)) return definition.selectableFields[field];
  if (field === 'metadata.name') return (object) => object.metadata.name;
  if (field === 'metadata.namespace') return (object) => object.metadata.namespace ?? '';
  return undefined;
}

function splitUnescaped(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? '';
    if (character === '\\') {
      part += character + (text[index + 1] ?? '');
      index += 1;
    } else if (character === ',') {
      parts.push(part);
      part = '';
    } else part += character;
  }
  parts.push(part);
  return parts;
}

function selectorRefused(text: string, what: string): StatusError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new StatusError('BadRequest', `the selector ${JSON.stringify(shown)} ${what}`);
}
