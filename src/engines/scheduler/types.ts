/** What a plan is made from and what it says. Plain values; the caller knows where they come from. */

export interface SchedulerTaint {
  readonly key: string;
  readonly value: string;
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

export interface SchedulerToleration {
  /** Absent with `Exists`: tolerates every taint. */
  readonly key?: string;
  readonly operator: 'Exists' | 'Equal';
  readonly value?: string;
  /** Absent: every effect. */
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

export interface Amounts {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
}

export interface SchedulerNode {
  readonly name: string;
  readonly isReady: boolean;
  readonly isUnschedulable: boolean;
  readonly taints: readonly SchedulerTaint[];
  /** Only labels that may be trusted for placement. */
  readonly labels: Readonly<Record<string, string>>;
  /** `os/architecture` of images that the node can run. */
  readonly platforms: readonly string[];
  readonly allocatable: Amounts & { readonly podsMax: number };
  /** Of the pods that are assigned to it and not finished. */
  readonly requested: Amounts & { readonly pods: number };
  readonly region: string;
  readonly site: string;
  /** Assigned pods by the uid of their owner. */
  readonly podsByOwner: Readonly<Record<string, number>>;
}

/** On a label of the node, or on its name. */
export interface SchedulerNodeCondition {
  readonly on: 'label' | 'name';
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  readonly values: readonly string[];
}

/** All of them must hold; none at all hold for no node. */
export type SchedulerNodeTerm = readonly SchedulerNodeCondition[];

export interface SchedulerPod {
  /** `namespace/name` */
  readonly key: string;
  readonly uid: string;
  readonly requests: Amounts;
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** One of them must hold; absent: any node. */
  readonly nodesRequired?: readonly SchedulerNodeTerm[];
  /** Nodes for which they hold are better, by the sum of the weights. */
  readonly nodesPreferred?: readonly {
    readonly weight: number;
    readonly term: SchedulerNodeTerm;
  }[];
  readonly tolerations: readonly SchedulerToleration[];
  /** For each container, the platforms of its image: the node must offer one of each list. */
  readonly platformsByContainer: readonly (readonly string[])[];
  /** The pods of one owner are spread; a pod without one stands alone. */
  readonly ownerUid: string | undefined;
}

export interface PlacementInput {
  readonly nodes: readonly SchedulerNode[];
  /** Placed in this order; earlier ones take room from later ones. */
  readonly pods: readonly SchedulerPod[];
}

export type Placement =
  | { readonly type: 'placed'; readonly pod: SchedulerPod; readonly nodeName: string }
  | {
      readonly type: 'unplaced';
      readonly pod: SchedulerPod;
      /** `0/4 nodes are available: 1 node(s) were unschedulable, 3 Insufficient cpu.` */
      readonly message: string;
      /** Nodes ruled out, by reason. A node counts once for each reason that it has. */
      readonly nodesByReason: Readonly<Record<string, number>>;
    };

/** One placement for each pod, in the order of the pods. */
export interface Plan {
  readonly placements: readonly Placement[];
}
