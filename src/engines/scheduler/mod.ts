export { nodeSuits, type NodeTraits } from './affinity.ts';
export { labelsHold } from './labels.ts';
export { tolerates } from './filters.ts';
export { planPlacement } from './plan-placement.ts';
export {
  type Amounts,
  type Placement,
  type PlacementInput,
  type Plan,
  type Nomination,
  type SchedulerBudget,
  type SchedulerLabelCondition,
  type SchedulerNode,
  type SchedulerNodeCondition,
  type SchedulerNodeTerm,
  type SchedulerNominee,
  type SchedulerPlacedPod,
  type SchedulerPod,
  type SchedulerPodTerm,
  type SchedulerSpread,
  type SchedulerWeightedTerm,
  type SchedulerTaint,
  type SchedulerToleration,
} from './types.ts';
