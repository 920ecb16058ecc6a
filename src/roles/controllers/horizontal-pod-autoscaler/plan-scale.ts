/**
 * From what is asked for to what is done: within the bounds, not faster than the policies
 * allow, and as careful as the stabilization windows say. Pure; what happened before is
 * handed in and handed back.
 *
 * Invariants:
 * 1. The number is within minReplicas and maxReplicas, whatever else is said.
 * 2. Within a policy's period no more changes than the policy that is selected allows.
 * 3. Up goes no further than the least, down no further than the most that was
 *    recommended in its window.
 */
import type {
  HorizontalPodAutoscalerSpec,
  ScalingPolicy,
  ScalingRules,
} from '#platform/api/mod.ts';

export interface Recommendation {
  readonly atMs: number;
  readonly replicas: number;
}

/** What one workload went through; only as much of it as still counts is kept. */
export interface ScaleHistory {
  readonly recommendations: readonly Recommendation[];
  /** How many pods were added and taken away, by when. */
  readonly ups: readonly Recommendation[];
  readonly downs: readonly Recommendation[];
}

export interface ScalePlan {
  readonly replicas: number;
  readonly isStabilized: boolean;
  readonly limit:
    | 'DesiredWithinRange'
    | 'TooFewReplicas'
    | 'TooManyReplicas'
    | 'ScaleUpLimit'
    | 'ScaleDownLimit';
  readonly history: ScaleHistory;
}

const downWindowSeconds = 300;
const allInFifteenSeconds: ScalingPolicy = { type: 'Percent', value: 100, periodSeconds: 15 };
const defaultUp: Required<Omit<ScalingRules, 'tolerance'>> = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }, allInFifteenSeconds],
};
const defaultDown: typeof defaultUp = {
  stabilizationWindowSeconds: downWindowSeconds,
  selectPolicy: 'Max',
  policies: [allInFifteenSeconds],
};
const historyMsMax = 3_600_000;

/** After a start of the controller: what there is counts as recommended just now. */
export function beginHistory(replicas: number, nowMs: number): ScaleHistory {
  return { recommendations: [{ atMs: nowMs, replicas }], ups: [], downs: [] };
}

/** `asked` is what the metrics ask for. */
export function planScale(
  { minReplicas = 1, maxReplicas, behavior = {} }: HorizontalPodAutoscalerSpec,
  currentReplicas: number,
  asked: number,
  history: ScaleHistory,
  nowMs: number,
): ScalePlan {
  const up = { ...defaultUp, ...behavior.scaleUp };
  const down = { ...defaultDown, ...behavior.scaleDown };
  const recent = <Entry extends Recommendation>(entries: readonly Entry[]): readonly Entry[] =>
    entries.filter(({ atMs }) => nowMs - atMs < historyMsMax);
  const before = recent(history.recommendations);
  const stabilized = stabilize(currentReplicas, asked, up, down, before, nowMs);
  const bounded = bound(
    ...([stabilized, currentReplicas, minReplicas, maxReplicas] as const),
    ...([up, down, history, nowMs] as const),
  );
  const change = bounded.replicas - currentReplicas;
  return {
    ...bounded,
    isStabilized: stabilized !== asked,
    history: {
      recommendations: [...before, { atMs: nowMs, replicas: asked }],
      ups:
        change > 0
          ? [...recent(history.ups), { atMs: nowMs, replicas: change }]
          : recent(history.ups),
      downs:
        change < 0
          ? [...recent(history.downs), { atMs: nowMs, replicas: -change }]
          : recent(history.downs),
    },
  };
}

type Rules = typeof defaultUp;

function stabilize(
  current: number,
  asked: number,
  up: Rules,
  down: Rules,
  before: readonly Recommendation[],
  nowMs: number,
): number {
  const within = ({ atMs }: Recommendation, { stabilizationWindowSeconds }: Rules): boolean =>
    nowMs - atMs < stabilizationWindowSeconds * 1_000;
  let [least, most] = [asked, asked];
  for (const recommendation of before) {
    if (within(recommendation, up)) least = Math.min(least, recommendation.replicas);
    if (within(recommendation, down)) most = Math.max(most, recommendation.replicas);
  }
  return Math.min(Math.max(current, least), most);
}

function bound(
  wanted: number,
  current: number,
  min: number,
  max: number,
  up: Rules,
  down: Rules,
  { ups, downs }: ScaleHistory,
  nowMs: number,
): Pick<ScalePlan, 'replicas' | 'limit'> {
  const sumIn = (entries: readonly Recommendation[], { periodSeconds }: ScalingPolicy): number =>
    entries
      .filter(({ atMs }) => nowMs - atMs < periodSeconds * 1_000)
      .reduce((sum, { replicas }) => sum + replicas, 0);
  /** How many there were when the policy's period began. */
  const startOf = (policy: ScalingPolicy): number =>
    current - sumIn(ups, policy) + sumIn(downs, policy);
  if (wanted > current) {
    const limits = up.policies.map((policy) => {
      const start = startOf(policy);
      return policy.type === 'Pods'
        ? start + policy.value
        : Math.ceil((start * (100 + policy.value)) / 100);
    });
    const limit = Math.max(current, selected(up, limits, current, 'up'));
    const most = Math.min(max, limit);
    if (wanted > most) {
      return {
        replicas: Math.max(most, min),
        limit: limit < max ? 'ScaleUpLimit' : 'TooManyReplicas',
      };
    }
  }
  if (wanted < current) {
    const limits = down.policies.map((policy) => {
      const start = startOf(policy);
      return policy.type === 'Pods'
        ? start - policy.value
        : Math.floor((start * (100 - policy.value)) / 100);
    });
    const limit = Math.min(current, selected(down, limits, current, 'down'));
    const least = Math.max(min, limit);
    if (wanted < least) {
      return {
        replicas: Math.min(least, max),
        limit: limit > min ? 'ScaleDownLimit' : 'TooFewReplicas',
      };
    }
  }
  if (wanted > max) return { replicas: max, limit: 'TooManyReplicas' };
  if (wanted < min) return { replicas: min, limit: 'TooFewReplicas' };
  return { replicas: wanted, limit: 'DesiredWithinRange' };
}

/** Max is the policy that lets most change, which downwards is the lowest number. */
function selected(
  { selectPolicy }: Rules,
  limits: readonly number[],
  current: number,
  way: 'up' | 'down',
): number {
  if (selectPolicy === 'Disabled') return current;
  const isHighest = (selectPolicy === 'Max') === (way === 'up');
  return isHighest ? Math.max(...limits) : Math.min(...limits);
}
