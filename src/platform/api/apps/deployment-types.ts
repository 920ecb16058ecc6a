/** Deployments as programs see them. */
import type { ApiObject } from '../object.ts';
import type { Condition } from '../meta/condition.ts';
import type { LabelSelector } from '../meta/label-selector.ts';
import type { PodTemplate } from './pod-template.ts';

/** A count, or a percentage of the replicas such as `25%`. */
export type CountOrPercent = number | string;

export type DeploymentStrategy = {
  type?: 'RollingUpdate' | 'Recreate';
  rollingUpdate?: { maxSurge?: CountOrPercent; maxUnavailable?: CountOrPercent };
};

export type DeploymentSpec = {
  replicas?: number;
  selector: LabelSelector;
  template: PodTemplate;
  strategy?: DeploymentStrategy;
  minReadySeconds?: number;
  revisionHistoryLimit?: number;
  progressDeadlineSeconds?: number;
  paused?: boolean;
};

export type DeploymentStatus = {
  observedGeneration?: number;
  replicas?: number;
  updatedReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  unavailableReplicas?: number;
  collisionCount?: number;
  conditions?: Condition[];
};

export interface Deployment extends ApiObject {
  spec: DeploymentSpec;
  status?: DeploymentStatus;
}
