/** HorizontalPodAutoscaler as programs see it: the form in which it is stored (v2). */
import type { Condition } from '../meta/condition.ts';
import type { ApiObject } from '../object.ts';

export type MetricTarget = {
  type: 'Utilization' | 'AverageValue';
  /** Percent of what the pods request. */
  averageUtilization?: number;
  /** For each pod. */
  averageValue?: string | number;
};

export type AutoscalingMetric =
  | { type: 'Resource'; resource: { name: string; target: MetricTarget } }
  | {
      type: 'ContainerResource';
      containerResource: { name: string; container: string; target: MetricTarget };
    };

export type ScalingPolicy = { type: 'Pods' | 'Percent'; value: number; periodSeconds: number };

export type ScalingRules = {
  stabilizationWindowSeconds?: number;
  selectPolicy?: 'Max' | 'Min' | 'Disabled';
  policies?: ScalingPolicy[];
  tolerance?: string | number;
};

export type ScaleTargetReference = { apiVersion?: string; kind: string; name: string };

export type HorizontalPodAutoscalerSpec = {
  scaleTargetRef: ScaleTargetReference;
  minReplicas?: number;
  maxReplicas: number;
  metrics?: AutoscalingMetric[];
  behavior?: { scaleUp?: ScalingRules; scaleDown?: ScalingRules };
};

export type CurrentAmount = { averageUtilization?: number; averageValue?: string };

export type CurrentMetric =
  | { type: 'Resource'; resource: { name: string; current: CurrentAmount } }
  | {
      type: 'ContainerResource';
      containerResource: { name: string; container: string; current: CurrentAmount };
    };

export type HorizontalPodAutoscalerStatus = {
  observedGeneration?: number;
  lastScaleTime?: string;
  currentReplicas?: number;
  desiredReplicas?: number;
  currentMetrics?: CurrentMetric[];
  conditions?: Condition[];
};

export interface HorizontalPodAutoscaler extends ApiObject {
  spec: HorizontalPodAutoscalerSpec;
  status?: HorizontalPodAutoscalerStatus;
}
