export { nodeSuits, type NodeTraits } from './affinity.ts';
export { tolerates } from './filters.ts';
export { planPlacement } from './plan-placement.ts';
export {
  type Amounts,
  type Placement,
  type PlacementInput,
  type Plan,
  type SchedulerNode,
  type SchedulerNodeCondition,
  type SchedulerNodeTerm,
  type SchedulerPod,
  type SchedulerTaint,
  type SchedulerToleration,
} from './types.ts';
