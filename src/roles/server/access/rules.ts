/**
 * What one rule of a role allows, and whether some rules allow all that others do.
 *
 * Invariant: rules only allow. What none of them names is not allowed.
 */
import type { PolicyRule } from '#platform/api/mod.ts';

/** What somebody wants to do, in the terms of rules. */
export type AskedAccess =
  | {
      readonly type: 'resource';
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      /** Empty for the object itself. */
      readonly subresource: string;
      /** Empty outside of a namespace. */
      readonly namespace: string;
      /** Empty for collections. */
      readonly name: string;
    }
  | { readonly type: 'path'; readonly verb: string; readonly path: string };

const all = '*';
/** Comparing two roles looks at every verb on every object that the wider one names. */
const comparedWordsMax = 100_000;
const none: string[] = [];

export function ruleAllows(rule: PolicyRule, asked: AskedAccess): boolean {
  if (!names(rule.verbs, asked.verb)) return false;
  if (asked.type === 'path') return (rule.nonResourceURLs ?? none).some(pathMatches(asked.path));
  const { apiGroups = none, resources = none, resourceNames = none } = rule;
  return (
    names(apiGroups, asked.group) &&
    namesResource(resources, asked.resource, asked.subresource) &&
    (resourceNames.length === 0 || (asked.name !== '' && resourceNames.includes(asked.name)))
  );
}

function names(words: readonly string[], word: string): boolean {
  return words.includes(word) || words.includes(all);
}

function namesResource(words: readonly string[], resource: string, subresource: string): boolean {
  if (words.includes(all)) return true;
  if (subresource === '') return words.includes(resource);
  return words.includes(`${resource}/${subresource}`) || words.includes(`${all}/${subresource}`);
}

function pathMatches(path: string): (pattern: string) => boolean {
  return (pattern) =>
    pattern === all ||
    pattern === path ||
    (pattern.endsWith(all) && path.startsWith(pattern.slice(0, -1)));
}

/**
 * What of `wanted` the rules of `held` do not allow; undefined where `wanted` is too
 * large to be compared.
 */
export function uncoveredRules(
  held: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): readonly PolicyRule[] | undefined {
  let compared = 0;
  const uncovered: PolicyRule[] = [];
  for (const rule of wanted) {
    compared += wordsOf(rule);
    if (compared > comparedWordsMax) return undefined;
    // Most rules are held as they are.
    if (held.some((one) => isWithin(one, rule))) continue;
    uncovered.push(...singleRules(rule).filter((one) => !held.some((own) => isWithin(own, one))));
  }
  return uncovered;
}

function wordsOf({
  verbs,
  apiGroups = none,
  resources = none,
  resourceNames = none,
  nonResourceURLs = none,
}: PolicyRule): number {
  const objects = apiGroups.length * resources.length * Math.max(1, resourceNames.length);
  return verbs.length * (objects + nonResourceURLs.length);
}

/** The same as rules of one verb on one thing each. */
function singleRules(rule: PolicyRule): PolicyRule[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  return verbs.flatMap((verb) => [
    ...nonResourceURLs.map((path): PolicyRule => ({ verbs: [verb], nonResourceURLs: [path] })),
    ...apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        (resourceNames.length === 0 ? [undefined] : resourceNames).map((name): PolicyRule => ({
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          ...(name === undefined ? {} : { resourceNames: [name] }),
        })),
      ),
    ),
  ]);
}

/** Whether everything that `rule` allows, `held` alone allows. */
function isWithin(held: PolicyRule, rule: PolicyRule): boolean {
  const includesAll = (own: readonly string[] = none, other: readonly string[] = none): boolean =>
    own.includes(all) || other.every((word) => own.includes(word));
  if (!includesAll(held.verbs, rule.verbs)) return false;
  const paths = rule.nonResourceURLs ?? none;
  if (paths.length > 0) {
    return paths.every((path) => (held.nonResourceURLs ?? none).some(pathMatches(path)));
  }
  const heldNames = held.resourceNames ?? none;
  const names = rule.resourceNames ?? none;
  return (
    includesAll(held.apiGroups, rule.apiGroups) &&
    (rule.resources ?? none).every((resource) => holdsResource(held.resources ?? none, resource)) &&
    (heldNames.length === 0 ||
      (names.length > 0 && names.every((name) => heldNames.includes(name))))
  );
}

function holdsResource(held: readonly string[], resource: string): boolean {
  if (held.includes(all) || held.includes(resource)) return true;
  const slash = resource.indexOf('/');
  return slash >= 0 && held.includes(`${all}${resource.slice(slash)}`);
}
