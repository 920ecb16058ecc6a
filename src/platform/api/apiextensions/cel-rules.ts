/**
 * The rules (`x-kubernetes-validations`) of a schema, compiled once and held against
 * objects: each against the part of the object that its schema describes.
 *
 * Invariants:
 * 1. A rule that reads `oldSelf` is asked only where there is an old value that is
 *    certainly the same part of the object.
 * 2. What all rules spend on one object is bounded (`cel/budget.ts`); running out is a
 *    refusal, never a pass.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import type { FieldError } from '../definition.ts';
import {
  childPath,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTypeInvalid,
  indexPath,
  keyPath,
  shownValue,
} from '../field-errors.ts';
import { createObjectBudget, type ObjectBudget } from './cel/budget.ts';
import { compileProgram, type Program, type Variable } from './cel/compile.ts';
import { CelError } from './cel/errors.ts';
import { type CelType, mayBe, optionalOf, string, bool, typeText } from './cel/types.ts';
import { none, some, type Value, valueOf } from './cel/values.ts';
import { celTypeOf } from './cel-types.ts';
import { fieldNamesOf, parseJsonPath } from './json-path.ts';
import { celMessageLengthMax, celRuleLengthMax, celRulesMax } from './limits.ts';
import { propertiesOf, textsOf } from './structural-schema.ts';

interface Rule {
  readonly text: string;
  readonly program: Program;
  readonly message: string | undefined;
  readonly messageProgram: Program | undefined;
  readonly reason: FieldError['reason'];
  /** Names below the part that the rule is about, for the error. */
  readonly fieldPath: readonly string[];
  readonly readsOld: boolean;
  readonly isOldOptional: boolean;
}

/** The rules of a part of an object, and of what is in it. */
export interface RuleTree {
  readonly type: CelType;
  readonly rules: readonly Rule[];
  readonly fields: ReadonlyMap<string, RuleTree>;
  readonly items: RuleTree | undefined;
  readonly rest: RuleTree | undefined;
  /** Of a list whose entries are known by them, and so are found again in the old value. */
  readonly mapKeys: readonly string[] | undefined;
}

interface Compilation {
  readonly tree: RuleTree | undefined;
  readonly errors: readonly FieldError[];
}

const reasons = [
  'FieldValueInvalid',
  'FieldValueForbidden',
  'FieldValueRequired',
  'FieldValueDuplicate',
] as const;
const errorsMax = 20;

/** Compiles all rules of a schema; `field` is where it stands in its definition. */
export function compileRules(schema: JsonObject, field: string): Compilation {
  const compiler = new RuleCompiler();
  const tree = compiler.node(schema, field, true, true);
  return { tree, errors: compiler.errors };
}

class RuleCompiler {
  readonly errors: FieldError[] = [];
  #rules = 0;

  /** Undefined where nothing in it has a rule. */
  node(
    schema: JsonObject,
    path: string,
    isCorrelatable: boolean,
    isRoot = false,
  ): RuleTree | undefined {
    const listed = schema['x-kubernetes-validations'];
    const type = celTypeOf(schema, isRoot);
    const rules = Array.isArray(listed)
      ? listed.flatMap((rule, position) => {
          const at = indexPath(`${path}.x-kubernetes-validations`, position);
          return this.#rule(rule, at, schema, type, isCorrelatable) ?? [];
        })
      : [];
    const fields = new Map<string, RuleTree>();
    for (const [name, child] of Object.entries(propertiesOf(schema))) {
      if (!isJsonObject(child)) continue;
      const inner = this.node(child, keyPath(`${path}.properties`, name), isCorrelatable);
      if (inner !== undefined) fields.set(name, inner);
    }
    const { items, additionalProperties } = schema;
    const isMapList = schema['x-kubernetes-list-type'] === 'map';
    const ofItems = isJsonObject(items)
      ? this.node(items, `${path}.items`, isCorrelatable && isMapList)
      : undefined;
    const ofRest = isJsonObject(additionalProperties)
      ? this.node(additionalProperties, `${path}.additionalProperties`, isCorrelatable)
      : undefined;
    if (rules.length + fields.size === 0 && ofItems === undefined && ofRest === undefined) {
      return undefined;
    }
    const mapKeys = isMapList ? textsOf(schema['x-kubernetes-list-map-keys']) : undefined;
    return { type, rules, fields, items: ofItems, rest: ofRest, mapKeys };
  }

  #rule(
    given: Json,
    path: string,
    schema: JsonObject,
    type: CelType,
    isCorrelatable: boolean,
  ): Rule | undefined {
    if (this.errors.length >= errorsMax) return undefined;
    this.#rules += 1;
    if (this.#rules === celRulesMax + 1) {
      this.errors.push(fieldTooLong(path, `a version has at most ${celRulesMax} rules`));
    }
    if (this.#rules > celRulesMax) return undefined;
    if (!isJsonObject(given)) {
      this.errors.push(fieldTypeInvalid(path, given, 'must be an object with a rule'));
      return undefined;
    }
    const known = [
      'rule',
      'message',
      'messageExpression',
      'reason',
      'fieldPath',
      'optionalOldSelf',
    ];
    for (const name of Object.keys(given)) {
      if (!known.includes(name)) {
        this.errors.push(fieldForbidden(`${path}.${name}`, 'is no field of a rule'));
      }
    }
    const { rule, message, messageExpression, reason, fieldPath } = given;
    if (typeof rule !== 'string' || rule.trim() === '') {
      this.errors.push(fieldRequired(`${path}.rule`, 'must be an expression'));
      return undefined;
    }
    if (rule.length > celRuleLengthMax) {
      const limit = `must have at most ${celRuleLengthMax} characters`;
      this.errors.push(fieldTooLong(`${path}.rule`, limit));
      return undefined;
    }
    const isOldOptional = given['optionalOldSelf'] === true;
    const variables = [
      { name: 'self', type },
      { name: 'oldSelf', type: isOldOptional ? optionalOf(type) : type },
    ];
    const program = this.#program(rule, `${path}.rule`, variables, bool);
    const messageProgram =
      messageExpression === undefined
        ? undefined
        : this.#program(messageExpression, `${path}.messageExpression`, variables, string);
    const names = fieldPath === undefined ? [] : this.#fieldPath(fieldPath, path, schema);
    if (message !== undefined && (typeof message !== 'string' || /^\s*$|[\r\n]/.test(message))) {
      const what = 'must be one line that is not empty';
      this.errors.push(fieldInvalid(`${path}.message`, message, what));
    } else if (typeof message === 'string' && message.length > celMessageLengthMax) {
      const limit = `must have at most ${celMessageLengthMax} characters`;
      this.errors.push(fieldTooLong(`${path}.message`, limit));
    }
    const chosen = reasons.find((one) => one === (reason ?? 'FieldValueInvalid'));
    if (chosen === undefined) {
      this.errors.push(fieldNotSupported(`${path}.reason`, reason, reasons));
    }
    if (program === undefined) return undefined;
    const readsOld = program.reads.has('oldSelf');
    if (readsOld && !isCorrelatable) {
      const why =
        'oldSelf cannot be used on the uncorrelatable portion of the schema: entries of lists are found again only where the list type is map';
      this.errors.push(fieldInvalid(`${path}.rule`, rule, why));
    }
    return {
      text: rule.trim(),
      program,
      message: typeof message === 'string' ? message : undefined,
      messageProgram,
      reason: chosen ?? 'FieldValueInvalid',
      fieldPath: names,
      readsOld,
      isOldOptional,
    };
  }

  #program(
    text: Json,
    path: string,
    variables: readonly Variable[],
    wanted: CelType,
  ): Program | undefined {
    if (typeof text !== 'string') {
      this.errors.push(fieldTypeInvalid(path, text, 'must be an expression'));
      return undefined;
    }
    try {
      const program = compileProgram(text, variables);
      if (mayBe(program.result, wanted)) return program;
      const what = `compilation failed: must evaluate to ${typeText(wanted)}, not ${typeText(program.result)}`;
      this.errors.push(fieldInvalid(path, text, what));
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      this.errors.push(fieldInvalid(path, text, `compilation failed: ${error.message}`));
    }
    return undefined;
  }

  #fieldPath(fieldPath: Json, path: string, schema: JsonObject): readonly string[] {
    const at = `${path}.fieldPath`;
    const parsed = typeof fieldPath === 'string' ? parseJsonPath(fieldPath) : undefined;
    const names = parsed === undefined || 'problem' in parsed ? undefined : fieldNamesOf(parsed);
    if (names === undefined || names.length === 0) {
      this.errors.push(
        fieldInvalid(at, fieldPath, 'must be a path of fields (such as .spec.name)'),
      );
      return [];
    }
    let node: Json | undefined = schema;
    for (const name of names) {
      if (!isJsonObject(node)) break;
      const rest: Json | undefined = node['additionalProperties'];
      node = propertiesOf(node)[name] ?? (isJsonObject(rest) ? rest : undefined);
    }
    if (node === undefined) {
      this.errors.push(fieldInvalid(at, fieldPath, 'must lead to a field of the schema'));
    }
    return names;
  }
}

/** What the rules say against the object; `previous` is undefined on create. */
export function ruleErrors(
  tree: RuleTree,
  object: Json,
  previous: Json | undefined,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  visit(tree, object, previous, '', { budget: createObjectBudget(), errors, isOver: false });
  return errors;
}

interface Judgement {
  readonly budget: ObjectBudget;
  readonly errors: FieldError[];
  isOver: boolean;
}

const violationsMax = 50;

function visit(
  tree: RuleTree,
  value: Json,
  old: Json | undefined,
  path: string,
  judgement: Judgement,
): void {
  if (value === null) return;
  for (const rule of tree.rules) judge(rule, tree.type, value, old, path, judgement);
  if (isJsonObject(value)) {
    const before = isJsonObject(old) ? old : {};
    for (const [name, child] of tree.fields) {
      const field = value[name];
      if (field !== undefined) visit(child, field, before[name], childPath(path, name), judgement);
    }
    if (tree.rest === undefined) return;
    for (const [name, field] of Object.entries(value)) {
      if (field === undefined) continue;
      visit(tree.rest, field, before[name], keyPath(path, name), judgement);
    }
  } else if (Array.isArray(value) && tree.items !== undefined) {
    const before = oldEntries(tree, old);
    for (const [position, item] of value.entries()) {
      const known = before?.get(identityOf(tree.mapKeys ?? [], item));
      visit(tree.items, item, known, indexPath(path, position), judgement);
    }
  }
}

function oldEntries({ mapKeys }: RuleTree, old: Json | undefined): Map<string, Json> | undefined {
  if (mapKeys === undefined || !Array.isArray(old)) return undefined;
  return new Map(old.map((item) => [identityOf(mapKeys, item), item]));
}

function identityOf(mapKeys: readonly string[], item: Json): string {
  return JSON.stringify(isJsonObject(item) ? mapKeys.map((key) => item[key] ?? null) : item);
}

function judge(
  rule: Rule,
  type: CelType,
  value: Json,
  old: Json | undefined,
  path: string,
  judgement: Judgement,
): void {
  if (judgement.isOver || judgement.errors.length >= violationsMax) return;
  const hasOld = old !== undefined && old !== null;
  if (rule.readsOld && !rule.isOldOptional && !hasOld) return;
  const before: Value = hasOld ? valueOf(old, type) : null;
  const oldSelf = rule.isOldOptional ? (hasOld ? some(before) : none) : before;
  const values = [valueOf(value, type), oldSelf];
  const budget = judgement.budget.forRule();
  const field = rule.fieldPath.reduce(childPath, path);
  try {
    if (rule.program.run(values, budget) === true) return;
    const words = messageOf(rule, values, judgement.budget);
    judgement.errors.push({
      field,
      reason: rule.reason,
      message: `${lead[rule.reason] ?? 'Invalid value'}: ${shownValue(value)}: ${words}`,
    });
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    judgement.isOver = error.code === 'CEL_BUDGET';
    const what = `the rule cannot be evaluated: ${error.message}: ${rule.text}`;
    judgement.errors.push(fieldInvalid(field, value, what));
  }
}

const lead: Readonly<Partial<Record<FieldError['reason'], string>>> = {
  FieldValueForbidden: 'Forbidden',
  FieldValueRequired: 'Required value',
  FieldValueDuplicate: 'Duplicate value',
};

/** A message that cannot be made falls back to the one that was written. */
function messageOf(rule: Rule, values: readonly Value[], budget: ObjectBudget): string {
  const fixed = rule.message ?? `failed rule: ${rule.text}`;
  if (rule.messageProgram === undefined) return fixed;
  try {
    const made = rule.messageProgram.run(values, budget.forRule());
    const isUsable = typeof made === 'string' && made.trim() !== '' && !/[\r\n]/.test(made);
    return isUsable ? made.slice(0, celMessageLengthMax) : fixed;
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return fixed;
  }
}
