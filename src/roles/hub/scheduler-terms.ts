/** What pods wish of their neighbours, in the terms of the scheduler engine. */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import type {
  SchedulerLabelCondition,
  SchedulerPod,
  SchedulerPodTerm,
  SchedulerSpread,
  SchedulerWeightedTerm,
} from '#engines/scheduler/mod.ts';
import { listIn, objectIn, textIn, textsIn } from './json-fields.ts';

/** The pod whose wishes they are. */
interface Holder {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Names of the namespaces whose labels are as all conditions want them. */
export type NamespacesLike = (conditions: readonly SchedulerLabelCondition[]) => readonly string[];

const required = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';

/** The pods that it is not to share a place with; undefined where it is all the same to it. */
export function awayOf(
  spec: JsonObject,
  holder: Holder,
  namespacesLike: NamespacesLike,
): readonly SchedulerPodTerm[] | undefined {
  const terms = listIn(objectIn(objectIn(spec, 'affinity'), 'podAntiAffinity')[required]);
  if (terms.length === 0) return undefined;
  return terms.map((term) => termOf(term, holder, namespacesLike));
}

/** Whether what `awayOf` says depends on the labels of namespaces, which may change. */
export function looksAtNamespaces(spec: JsonObject): boolean {
  const terms = listIn(objectIn(objectIn(spec, 'affinity'), 'podAntiAffinity')[required]);
  return terms.some((term) => isJsonObject(term['namespaceSelector']));
}

export function neighbourWishes(
  spec: JsonObject,
  holder: Holder,
  namespacesLike: NamespacesLike,
): Pick<SchedulerPod, 'near' | 'nearPreferred' | 'away' | 'awayPreferred' | 'spread'> {
  const affinity = objectIn(spec, 'affinity');
  const weighted = (list: Json | undefined): SchedulerWeightedTerm[] =>
    listIn(list).map((one) => ({
      weight: Number(one['weight']),
      term: termOf(objectIn(one, 'podAffinityTerm'), holder, namespacesLike),
    }));
  const near = listIn(objectIn(affinity, 'podAffinity')[required]);
  const nearPreferred = weighted(objectIn(affinity, 'podAffinity')[preferred]);
  const away = awayOf(spec, holder, namespacesLike);
  const awayPreferred = weighted(objectIn(affinity, 'podAntiAffinity')[preferred]);
  const spread = listIn(spec['topologySpreadConstraints']);
  return {
    ...(near.length === 0
      ? {}
      : { near: near.map((term) => termOf(term, holder, namespacesLike)) }),
    ...(nearPreferred.length === 0 ? {} : { nearPreferred }),
    ...(away === undefined ? {} : { away }),
    ...(awayPreferred.length === 0 ? {} : { awayPreferred }),
    ...(spread.length === 0 ? {} : { spread: spread.map((rule) => spreadOf(rule, holder)) }),
  };
}

function termOf(
  term: JsonObject,
  holder: Holder,
  namespacesLike: NamespacesLike,
): SchedulerPodTerm {
  const selector = conditionsOf(term['labelSelector']);
  return {
    namespaces: namespacesOf(term, holder, namespacesLike),
    ...(selector === undefined
      ? {}
      : { selector: [...selector, ...conditionsByKeys(term, holder)] }),
    topologyKey: textIn(term['topologyKey']),
  };
}

function namespacesOf(
  term: JsonObject,
  { namespace }: Holder,
  namespacesLike: NamespacesLike,
): SchedulerPodTerm['namespaces'] {
  const named = textsIn(term['namespaces']);
  const selected = conditionsOf(term['namespaceSelector']);
  if (selected === undefined) return named.length === 0 ? [namespace] : named;
  if (selected.length === 0) return 'all';
  return [...new Set([...named, ...namespacesLike(selected)])].sort();
}

function spreadOf(rule: JsonObject, holder: Holder): SchedulerSpread {
  const selector = conditionsOf(rule['labelSelector']);
  return {
    maxSkew: Number(rule['maxSkew']),
    topologyKey: textIn(rule['topologyKey']),
    isRequired: rule['whenUnsatisfiable'] === 'DoNotSchedule',
    ...(selector === undefined
      ? {}
      : { selector: [...selector, ...conditionsByKeys(rule, holder)] }),
    placesMin: typeof rule['minDomains'] === 'number' ? rule['minDomains'] : 1,
    honorsAffinity: rule['nodeAffinityPolicy'] !== 'Ignore',
    honorsTaints: rule['nodeTaintsPolicy'] === 'Honor',
  };
}

/** Labels in which others must be like the pod, or not like it. Those it lacks say nothing. */
function conditionsByKeys(rule: JsonObject, { labels }: Holder): SchedulerLabelCondition[] {
  const all = [
    ['matchLabelKeys', 'In'],
    ['mismatchLabelKeys', 'NotIn'],
  ] as const;
  return all.flatMap(([field, operator]) =>
    textsIn(rule[field]).flatMap((key) => {
      const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
      return value === undefined ? [] : [{ key, operator, values: [value] }];
    }),
  );
}

/** A selector of labels as conditions; undefined where there is none, which selects nothing. */
export function conditionsOf(selector: unknown): readonly SchedulerLabelCondition[] | undefined {
  if (!isJsonObject(selector)) return undefined;
  const labels = Object.entries(objectIn(selector, 'matchLabels')).map(
    ([key, value]): SchedulerLabelCondition => ({ key, operator: 'In', values: [textIn(value)] }),
  );
  const expressions = listIn(selector['matchExpressions']).map(
    (expression): SchedulerLabelCondition => ({
      key: textIn(expression['key']),
      operator: textIn(expression['operator']) as SchedulerLabelCondition['operator'],
      values: textsIn(expression['values']),
    }),
  );
  return [...labels, ...expressions];
}
