/**
 * Which places pods share. Counts the pods that a term means by place, once for each
 * term that occurs, and keeps the counts true while the plan places pods.
 *
 * Invariants:
 * 1. What the plan itself placed counts.
 * 2. A pod that is not to share a place with some others is not joined by them later.
 * 3. A pod that wants to be near pods like itself may be the first of them.
 */
import { nodeSuits } from './affinity.ts';
import { tolerates } from './filters.ts';
import { labelOf, labelsHold, means } from './labels.ts';
import type {
  SchedulerNode,
  SchedulerPod,
  SchedulerPodTerm,
  SchedulerPodTraits,
  SchedulerSpread,
  SchedulerWeightedTerm,
} from './types.ts';

/** Why not this node; `gone` are pods of it that are thought away. */
export type NeighbourCheck = (
  node: SchedulerNode,
  gone: readonly SchedulerPodTraits[],
) => string | undefined;

/** Less is better: what is preferred of neighbours, then how uneven the pods would be. */
export type NeighbourScore = (node: SchedulerNode) => readonly [number, number];

interface Tally {
  readonly topologyKey: string;
  readonly counts: (pod: SchedulerPodTraits) => boolean;
  readonly includes: (node: SchedulerNode) => boolean;
  readonly byPlace: Map<string, number>;
  total: number;
}

export interface Neighbours {
  /** Undefined where the pod may be anywhere, as far as its neighbours go. */
  checkFor(pod: SchedulerPod): NeighbourCheck | undefined;
  /** Undefined where it prefers nothing. */
  scoreFor(pod: SchedulerPod): NeighbourScore | undefined;
  /** The plan has placed the pod. */
  placed(pod: SchedulerPod, node: SchedulerNode): void;
}

export function createNeighbours(nodes: readonly SchedulerNode[]): Neighbours {
  const tallies = new Map<string, Tally>();
  /** What the plan has placed so far. */
  const added: (readonly [SchedulerPod, SchedulerNode])[] = [];
  /** Pods that have a wish to be away, by that wish. */
  let aloof: Map<string, { readonly term: SchedulerPodTerm; readonly tally: Tally }> | undefined;

  function tallyOf(
    key: string,
    topologyKey: string,
    counts: Tally['counts'],
    includes: Tally['includes'] = () => true,
  ): Tally {
    let tally = tallies.get(key);
    if (tally === undefined) {
      tally = { topologyKey, counts, includes, byPlace: new Map(), total: 0 };
      for (const node of nodes) {
        if (!includes(node)) continue;
        const place = labelOf(node.labels, topologyKey);
        // A place without pods is one too.
        if (place !== undefined) addTo(tally.byPlace, place, 0);
        for (const pod of node.pods) if (counts(pod)) addPod(tally, node);
      }
      for (const [pod, node] of added) if (includes(node) && counts(pod)) addPod(tally, node);
      tallies.set(key, tally);
    }
    return tally;
  }

  function ofTerm(term: SchedulerPodTerm): Tally {
    const counts = (pod: SchedulerPodTraits): boolean => means(term, pod);
    return tallyOf(`term ${textOf(term)}`, term.topologyKey, counts);
  }

  /** Pods that all the terms mean, as they count for being near. */
  function ofAll(terms: readonly SchedulerPodTerm[], topologyKey: string): Tally {
    const key = `all ${topologyKey} ${terms.map(textOf).join(' ')}`;
    return tallyOf(key, topologyKey, (pod) => terms.every((term) => means(term, pod)));
  }

  function ofAloof(term: SchedulerPodTerm, text: string): Tally {
    return tallyOf(`aloof ${text}`, term.topologyKey, (pod) =>
      (pod.away ?? []).some((own) => textOf(own) === text),
    );
  }

  function allAloof(): NonNullable<typeof aloof> {
    if (aloof === undefined) {
      aloof = new Map();
      for (const node of nodes) for (const pod of node.pods) addAloof(aloof, pod);
      for (const [pod] of added) addAloof(aloof, pod);
    }
    return aloof;
  }

  function addAloof(into: NonNullable<typeof aloof>, pod: SchedulerPodTraits): void {
    for (const term of pod.away ?? []) {
      const text = textOf(term);
      if (!into.has(text)) into.set(text, { term, tally: ofAloof(term, text) });
    }
  }

  /** Nodes and pods that a rule of spreading is about. */
  function ofSpread(pod: SchedulerPod, rule: SchedulerSpread, keys: readonly string[]): Tally {
    const { selector, topologyKey, honorsAffinity, honorsTaints } = rule;
    const { namespace, nodeSelector, nodesRequired, tolerations } = pod;
    const about = [
      selector,
      topologyKey,
      namespace,
      keys,
      honorsAffinity ? [nodeSelector, nodesRequired] : [],
      honorsTaints ? tolerations : [],
    ];
    return tallyOf(
      `spread ${JSON.stringify(about)}`,
      topologyKey,
      (other) =>
        selector !== undefined &&
        other.namespace === namespace &&
        !('isEnding' in other && other.isEnding === true) &&
        labelsHold(other.labels, selector),
      (node) =>
        keys.every((key) => labelOf(node.labels, key) !== undefined) &&
        (!honorsAffinity || nodeSuits(node, pod)) &&
        (!honorsTaints ||
          node.taints.every(
            (taint) => taint.effect === 'PreferNoSchedule' || tolerates(tolerations, taint),
          )),
    );
  }

  function checksFor(pod: SchedulerPod): NeighbourCheck[] {
    const checks: NeighbourCheck[] = [];
    const { near = [], away = [] } = pod;
    if (near.length > 0) checks.push(nearCheck(pod, near));
    for (const term of away) {
      const tally = ofTerm(term);
      checks.push((node, gone) =>
        countAt(tally, node, gone) > 0 ? "node(s) didn't match pod anti-affinity rules" : undefined,
      );
    }
    for (const { term, tally } of allAloof().values()) {
      if (!means(term, pod)) continue;
      checks.push((node, gone) =>
        countAt(tally, node, gone) > 0
          ? "node(s) didn't satisfy existing pods anti-affinity rules"
          : undefined,
      );
    }
    const rules = (pod.spread ?? []).filter(({ isRequired }) => isRequired);
    const keys = rules.map(({ topologyKey }) => topologyKey);
    for (const rule of rules) checks.push(spreadCheck(pod, rule, ofSpread(pod, rule, keys)));
    return checks;
  }

  function nearCheck(pod: SchedulerPod, terms: readonly SchedulerPodTerm[]): NeighbourCheck {
    const parts = terms.map(({ topologyKey }) => ofAll(terms, topologyKey));
    const isFirst = parts.every(({ total }) => total === 0);
    const mayBeFirst = isFirst && terms.every((term) => means(term, pod));
    return (node, gone) => {
      const isMet = parts.every((tally) =>
        mayBeFirst
          ? labelOf(node.labels, tally.topologyKey) !== undefined
          : countAt(tally, node, gone) > 0,
      );
      return isMet ? undefined : "node(s) didn't match pod affinity rules";
    };
  }

  return {
    checkFor(pod) {
      const checks = checksFor(pod);
      if (checks.length === 0) return undefined;
      return (node, gone) => {
        for (const check of checks) {
          const reason = check(node, gone);
          if (reason !== undefined) return reason;
        }
        return undefined;
      };
    },
    scoreFor(pod) {
      const { nearPreferred = [], awayPreferred = [] } = pod;
      const wishes = [
        ...nearPreferred.map((wish) => weighed(wish, ofTerm(wish.term), -1)),
        ...awayPreferred.map((wish) => weighed(wish, ofTerm(wish.term), 1)),
      ];
      const rules = (pod.spread ?? []).filter(({ isRequired }) => !isRequired);
      const keys = rules.map(({ topologyKey }) => topologyKey);
      const spreads = rules.map((rule) => ofSpread(pod, rule, keys));
      if (wishes.length === 0 && spreads.length === 0) return undefined;
      return (node) => {
        let unwanted = 0;
        for (const wish of wishes) unwanted += wish(node);
        let uneven = 0;
        for (const tally of spreads) uneven += unevenAt(tally, node);
        return [unwanted, uneven];
      };
    },
    placed(pod, node) {
      for (const tally of tallies.values()) {
        if (tally.includes(node) && tally.counts(pod)) addPod(tally, node);
      }
      added.push([pod, node]);
      if (aloof !== undefined) addAloof(aloof, pod);
    },
  };
}

function spreadCheck(pod: SchedulerPod, rule: SchedulerSpread, tally: Tally): NeighbourCheck {
  const text = "node(s) didn't match pod topology spread constraints";
  const own = tally.counts(pod) ? 1 : 0;
  let fewest = tally.byPlace.size < rule.placesMin ? 0 : Infinity;
  for (const count of tally.byPlace.values()) fewest = Math.min(fewest, count);
  return (node, gone) => {
    if (labelOf(node.labels, tally.topologyKey) === undefined) {
      return `${text} (missing required label)`;
    }
    const there = countAt(tally, node, gone);
    const least = Math.min(fewest, there);
    return there + own - least > rule.maxSkew ? text : undefined;
  };
}

/** From 0 to the weight, by how many of those that are meant are at the place. */
function weighed(
  { weight }: SchedulerWeightedTerm,
  tally: Tally,
  sign: 1 | -1,
): (node: SchedulerNode) => number {
  let most = 0;
  for (const count of tally.byPlace.values()) most = Math.max(most, count);
  return (node) => (most === 0 ? 0 : (sign * weight * countAt(tally, node, [])) / most);
}

/** Nodes that are no place are worse than any. */
function unevenAt(tally: Tally, node: SchedulerNode): number {
  const place = labelOf(node.labels, tally.topologyKey);
  return place === undefined || !tally.byPlace.has(place)
    ? tally.total + 1
    : (tally.byPlace.get(place) ?? 0);
}

function countAt(tally: Tally, node: SchedulerNode, gone: readonly SchedulerPodTraits[]): number {
  const place = labelOf(node.labels, tally.topologyKey);
  if (place === undefined) return 0;
  let count = tally.byPlace.get(place) ?? 0;
  if (gone.length === 0 || !tally.includes(node)) return count;
  for (const pod of gone) if (tally.counts(pod)) count -= 1;
  return count;
}

/** A pod on a node that is no place is nowhere. */
function addPod(tally: Tally, node: SchedulerNode): void {
  const place = labelOf(node.labels, tally.topologyKey);
  if (place === undefined) return;
  tally.total += 1;
  addTo(tally.byPlace, place, 1);
}

function addTo(counts: Map<string, number>, key: string, step: number): void {
  counts.set(key, (counts.get(key) ?? 0) + step);
}

const texts = new WeakMap<SchedulerPodTerm, string>();

/** Equal terms have equal texts. */
function textOf(term: SchedulerPodTerm): string {
  let text = texts.get(term);
  if (text === undefined) {
    const { namespaces, selector, topologyKey } = term;
    texts.set(term, (text = JSON.stringify([namespaces, selector, topologyKey])));
  }
  return text;
}
