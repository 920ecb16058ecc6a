/**
 * Scales workloads by what their pods use: reads the metrics of each, asks
 * propose-replicas and plan-scale, writes the scale, and says what it found.
 */
import { errorText, isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  apiVersionOf,
  type AutoscalingMetric,
  autoscalingMetricParts,
  type Condition,
  conditionOf,
  type CurrentMetric,
  equalJson,
  type GroupVersionResource,
  type HorizontalPodAutoscaler,
  type HorizontalPodAutoscalerStatus,
  matchesLabels,
  milliUnitsOf,
  parseLabelSelector,
  type Pod,
  type PodMetrics,
  resources,
  type ScalingRules,
  tryParseQuantity,
  wallMsOf,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';
import { keyOfObject } from '../shared/keys.ts';
import { isDeleting } from '../shared/ownership.ts';
import { patchStatus } from '../shared/status.ts';
import { beginHistory, planScale, type ScaleHistory, type ScalePlan } from './plan-scale.ts';
import { type PodSample, type Proposal, proposeReplicas } from './propose-replicas.ts';

const lookEveryMs = 15_000;
const toleranceDefault = 0.1;

export function watchForAutoscalers({ informers, queue }: ControllerContext): void {
  informers.autoscalers.onChange(({ type, object, previous }) => {
    // What it says of itself is no news.
    if (type === 'updated' && object.metadata.generation === previous.metadata.generation) return;
    queue.add(keyOfObject(object));
  });
}

export function autoscalerReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  /** By the uid of the autoscaler. */
  const histories = new Map<string, ScaleHistory>();
  const uids = new Map<string, string>();
  return async (key) => {
    const scaler = context.informers.autoscalers.get(key);
    const uid = scaler?.metadata.uid ?? '';
    if (uids.get(key) !== uid) histories.delete(uids.get(key) ?? '');
    if (scaler === undefined || isDeleting(scaler)) {
      uids.delete(key);
      return undefined;
    }
    uids.set(key, uid);
    await reconcileScaler(context, scaler, histories);
    return { againAfterMs: lookEveryMs };
  };
}

interface Scale {
  readonly resource: GroupVersionResource;
  readonly specReplicas: number;
  readonly statusReplicas: number;
  readonly selector: string;
}

/** What was concluded in one look. */
interface Conclusion {
  readonly desiredReplicas: number;
  readonly reason: string;
  readonly currentMetrics: readonly CurrentMetric[];
  readonly conditions: readonly Omit<Condition, 'lastTransitionTime'>[];
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
}

async function reconcileScaler(
  context: ControllerContext,
  scaler: HorizontalPodAutoscaler,
  histories: Map<string, ScaleHistory>,
): Promise<void> {
  const { client, clock, events } = context;
  const { uid = '', namespace = '' } = scaler.metadata;
  const { name } = scaler.spec.scaleTargetRef;
  const warn = (reason: string, message: string): void => {
    events.record({ regarding: scaler, severity: 'Warning', reason, message });
  };
  let scale: Scale;
  try {
    scale = await readScale(context, scaler);
  } catch (error) {
    const message = `the HPA controller was unable to get the target's current scale: ${errorText(error)}`;
    warn('FailedGetScale', errorText(error));
    const able = {
      type: 'AbleToScale',
      status: 'False',
      reason: 'FailedGetScale',
      message,
    } as const;
    await writeStatus(context, scaler, { conditions: mergeConditions(context, scaler, [able]) });
    return;
  }
  const nowMs = clock.wallMs();
  const history = histories.get(uid) ?? beginHistory(scale.specReplicas, nowMs);
  const conclusion = await conclude(context, scaler, scale, history, (next) => {
    histories.set(uid, next);
  });
  const { desiredReplicas, failure } = conclusion;
  if (failure !== undefined) warn(failure.reason, failure.message);
  const conditions = [...conclusion.conditions];
  let lastScaleTime: string | undefined;
  if (desiredReplicas !== scale.specReplicas) {
    try {
      const patch = { spec: { replicas: desiredReplicas } };
      await client.mergePatch(scale.resource, namespace, name, patch, 'scale');
    } catch (error) {
      const message = `the HPA controller was unable to update the target scale: ${errorText(error)}`;
      warn('FailedRescale', `New size: ${desiredReplicas}; error: ${errorText(error)}`);
      const able = { type: 'AbleToScale', status: 'False', reason: 'FailedUpdateScale', message };
      conditions.push(able as Condition);
      await writeStatus(context, scaler, {
        conditions: mergeConditions(context, scaler, conditions),
      });
      throw error;
    }
    lastScaleTime = timestampOf(nowMs);
    events.record({
      regarding: scaler,
      severity: 'Normal',
      reason: 'SuccessfulRescale',
      message: `New size: ${desiredReplicas}; reason: ${conclusion.reason}`,
    });
    conditions.push({
      type: 'AbleToScale',
      status: 'True',
      reason: 'SucceededRescale',
      message: `the HPA controller was able to update the target scale to ${desiredReplicas}`,
    });
  }
  await writeStatus(context, scaler, {
    observedGeneration: scaler.metadata.generation ?? 0,
    currentReplicas: scale.statusReplicas,
    desiredReplicas,
    ...(lastScaleTime === undefined ? {} : { lastScaleTime }),
    currentMetrics: [...conclusion.currentMetrics],
    conditions: mergeConditions(context, scaler, conditions),
  });
}

async function conclude(
  context: ControllerContext,
  scaler: HorizontalPodAutoscaler,
  scale: Scale,
  history: ScaleHistory,
  remember: (history: ScaleHistory) => void,
): Promise<Conclusion> {
  const { minReplicas = 1, maxReplicas } = scaler.spec;
  const current = scale.specReplicas;
  const still = { currentMetrics: scaler.status?.currentMetrics ?? [], failure: undefined };
  const able = {
    type: 'AbleToScale',
    status: 'True',
    reason: 'SucceededGetScale',
    message: "the HPA controller was able to get the target's current scale",
  } as const;
  const inactive = (reason: string, message: string) =>
    ({ type: 'ScalingActive', status: 'False', reason, message }) as const;
  if (current === 0) {
    const message = 'scaling is disabled since the replica count of the target is zero';
    const conditions = [able, inactive('ScalingDisabled', message)];
    return { ...still, desiredReplicas: 0, reason: '', conditions };
  }
  if (current > maxReplicas || current < minReplicas) {
    const isAbove = current > maxReplicas;
    const reason = `Current number of replicas ${isAbove ? 'above Spec.MaxReplicas' : 'below Spec.MinReplicas'}`;
    const desiredReplicas = isAbove ? maxReplicas : minReplicas;
    return { ...still, desiredReplicas, reason, conditions: [able] };
  }
  const proposals = await propose(context, scaler, scale);
  const currentMetrics = proposals.flatMap(({ metric, proposal }) => currentOf(metric, proposal));
  const unknown = proposals.find(({ proposal }) => proposal.type === 'unknown');
  const best = proposals.reduce<(typeof proposals)[number] | undefined>(
    (found, one) => (replicasOf(one.proposal) > replicasOf(found?.proposal) ? one : found),
    undefined,
  );
  const asked = replicasOf(best?.proposal);
  // Where something is not known, nothing is taken away by what is.
  if (best === undefined || asked < 0 || (unknown !== undefined && asked < current)) {
    const why = unknown?.proposal.type === 'unknown' ? unknown.proposal.message : 'no metrics';
    const reason = `FailedGet${unknown?.metric.type ?? 'Resource'}Metric`;
    const message = `the HPA was unable to compute the replica count: ${why}`;
    return {
      desiredReplicas: current,
      reason: '',
      currentMetrics,
      conditions: [able, inactive(reason, message)],
      failure: { reason, message: why },
    };
  }
  const plan = planScale(scaler.spec, current, asked, history, context.clock.wallMs());
  remember(plan.history);
  const words = wordsOf(best.metric);
  const change = plan.replicas > current ? `${words} above target` : 'All metrics below target';
  return {
    desiredReplicas: plan.replicas,
    reason: change,
    currentMetrics,
    conditions: [
      ableOf(plan, current, asked),
      {
        type: 'ScalingActive',
        status: 'True',
        reason: 'ValidMetricFound',
        message: `the HPA was able to successfully calculate a replica count from ${words}`,
      },
      limitedOf(plan),
    ],
    failure: undefined,
  };
}

function ableOf({ isStabilized }: ScalePlan, current: number, asked: number) {
  const base = { type: 'AbleToScale', status: 'True' } as const;
  if (!isStabilized) {
    const message = 'recommended size matches current size';
    return { ...base, reason: 'ReadyForNewScale', message };
  }
  const way = asked < current ? 'higher' : 'lower';
  const extreme = asked < current ? 'highest' : 'lowest';
  return {
    ...base,
    reason: asked < current ? 'ScaleDownStabilized' : 'ScaleUpStabilized',
    message: `recent recommendations were ${way} than current one, applying the ${extreme} recent recommendation`,
  };
}

const limitWords: Readonly<Record<ScalePlan['limit'], string>> = {
  DesiredWithinRange: 'the desired count is within the acceptable range',
  TooFewReplicas: 'the desired replica count is less than the minimum replica count',
  TooManyReplicas: 'the desired replica count is more than the maximum replica count',
  ScaleUpLimit: 'the desired replica count is increasing faster than the maximum scale rate',
  ScaleDownLimit: 'the desired replica count is decreasing faster than the maximum scale rate',
};

function limitedOf({ limit }: ScalePlan): Omit<Condition, 'lastTransitionTime'> {
  const status = limit === 'DesiredWithinRange' ? 'False' : 'True';
  return { type: 'ScalingLimited', status, reason: limit, message: limitWords[limit] };
}

function wordsOf(metric: AutoscalingMetric): string {
  const parts = autoscalingMetricParts(metric);
  const where = parts?.container === undefined ? '' : ` container ${parts.container}`;
  const how = parts?.target.type === 'Utilization' ? 'utilization (percentage of request)' : '';
  return `${parts?.name ?? ''}${where} resource ${how}`.trimEnd();
}

/** -1 for what is not known. */
function replicasOf(proposal: Proposal | undefined): number {
  return proposal?.type === 'proposed' ? proposal.replicas : -1;
}

async function propose(
  { client, clock, informers }: ControllerContext,
  scaler: HorizontalPodAutoscaler,
  scale: Scale,
): Promise<readonly { readonly metric: AutoscalingMetric; readonly proposal: Proposal }[]> {
  const { namespace = '' } = scaler.metadata;
  const { metrics = [], behavior = {} } = scaler.spec;
  const selector = parseLabelSelector(scale.selector);
  const pods = informers.pods
    .lookup('namespace', namespace)
    .filter(({ metadata }) => matchesLabels(selector, metadata.labels));
  const options = { namespace, labelSelector: scale.selector };
  const { items } = await client.list(resources.podMetrics, options);
  const measured = items as readonly PodMetrics[];
  return metrics.flatMap((metric) => {
    const parts = autoscalingMetricParts(metric);
    if (parts === undefined) return [];
    const proposal = proposeReplicas({
      resource: parts.name,
      container: parts.container,
      target: parts.target,
      pods,
      samples: samplesOf(measured, pods, parts.name, parts.container),
      currentReplicas: scale.specReplicas,
      toleranceUp: toleranceOf(behavior.scaleUp),
      toleranceDown: toleranceOf(behavior.scaleDown),
      nowMs: clock.wallMs(),
    });
    return [{ metric, proposal }];
  });
}

/** A pod of which a container that counts was not measured was not measured. */
function samplesOf(
  measured: readonly PodMetrics[],
  pods: readonly Pod[],
  resource: string,
  only: string | undefined,
): ReadonlyMap<string, PodSample> {
  const samples = new Map<string, PodSample>();
  const podsByName = new Map(pods.map((pod) => [pod.metadata.name, pod]));
  for (const { metadata, timestamp, window, containers } of measured) {
    const pod = podsByName.get(metadata.name);
    if (pod === undefined) continue;
    const wanted = only === undefined ? pod.spec.containers.map(({ name }) => name) : [only];
    if (!wanted.every((name) => containers.some((one) => one.name === name))) continue;
    const counted = containers.filter(({ name }) => only === undefined || name === only);
    const milli = counted.reduce((sum, { usage }) => {
      const amount = tryParseQuantity(resource === 'cpu' ? usage.cpu : usage.memory);
      return sum + (amount === undefined ? 0 : milliUnitsOf(amount));
    }, 0);
    const windowMs = Math.round(Number.parseFloat(window) * 1_000);
    samples.set(metadata.name, { milli, atMs: wallMsOf(timestamp) ?? 0, windowMs });
  }
  return samples;
}

function toleranceOf(rules: ScalingRules | undefined): number {
  const amount = rules?.tolerance === undefined ? undefined : tryParseQuantity(rules.tolerance);
  return amount === undefined ? toleranceDefault : milliUnitsOf(amount) / 1_000;
}

function currentOf(metric: AutoscalingMetric, proposal: Proposal): readonly CurrentMetric[] {
  const parts = autoscalingMetricParts(metric);
  if (parts === undefined) return [];
  const current =
    proposal.type === 'unknown'
      ? {}
      : {
          averageValue: amountText(parts.name, proposal.averageMilli),
          ...(proposal.utilization === undefined
            ? {}
            : { averageUtilization: proposal.utilization }),
        };
  const { name, container } = parts;
  return container === undefined
    ? [{ type: 'Resource', resource: { name, current } }]
    : [{ type: 'ContainerResource', containerResource: { name, container, current } }];
}

function amountText(resource: string, milli: number): string {
  return resource === 'cpu' ? `${milli}m` : `${Math.round(milli / 1_000)}`;
}

async function readScale(
  { client, informers }: ControllerContext,
  { metadata, spec }: HorizontalPodAutoscaler,
): Promise<Scale> {
  const { apiVersion = '', kind, name } = spec.scaleTargetRef;
  const stored = informers.all.find(
    (one) => one.kind.kind === kind && apiVersionOf(one.kind.resource) === apiVersion,
  );
  if (stored === undefined) {
    throw new Error(
      `no matches for kind ${JSON.stringify(kind)} in group version ${JSON.stringify(apiVersion)}`,
    );
  }
  const { resource } = stored.kind;
  const scale = await client.get(resource, metadata.namespace ?? '', name, 'scale');
  const numberIn = (part: unknown): number => {
    const replicas = isJsonObject(part) ? part['replicas'] : undefined;
    return typeof replicas === 'number' ? replicas : 0;
  };
  const selector = scale.status?.['selector'];
  if (typeof selector !== 'string' || selector === '') throw new Error('selector is required');
  return {
    resource,
    specReplicas: numberIn(scale.spec),
    statusReplicas: numberIn(scale.status),
    selector,
  };
}

/** Those of before with the new ones in place; the last of a type counts. */
function mergeConditions(
  { clock }: ControllerContext,
  { status }: HorizontalPodAutoscaler,
  news: readonly Omit<Condition, 'lastTransitionTime'>[],
): Condition[] {
  const merged = new Map((status?.conditions ?? []).map((one) => [one.type, one]));
  for (const one of news) {
    const before = conditionOf(status?.conditions, one.type);
    const lastTransitionTime =
      before?.status === one.status && before.lastTransitionTime !== undefined
        ? before.lastTransitionTime
        : timestampOf(clock.wallMs());
    merged.set(one.type, { ...one, lastTransitionTime });
  }
  return [...merged.values()];
}

async function writeStatus(
  { client, informers }: ControllerContext,
  scaler: HorizontalPodAutoscaler,
  news: HorizontalPodAutoscalerStatus,
): Promise<void> {
  const status = news as JsonObject;
  if (equalJson({ ...scaler.status, ...status }, scaler.status ?? {})) return;
  await patchStatus(client, resources.autoscalers, informers.autoscalers, scaler, status);
}
