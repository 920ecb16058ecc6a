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

/** On a label of a pod. */
export type SchedulerLabelCondition = Omit<SchedulerNodeCondition, 'on'>;

/** Pods, and what counts as one place with them. */
export interface SchedulerPodTerm {
  /** All namespaces, or these. */
  readonly namespaces: 'all' | readonly string[];
  /** All of them must hold; absent: no pod is meant. */
  readonly selector?: readonly SchedulerLabelCondition[];
  /** Nodes with the same value of this label are one place; those without it are none. */
  readonly topologyKey: string;
}

export interface SchedulerWeightedTerm {
  readonly weight: number;
  readonly term: SchedulerPodTerm;
}

/** How evenly pods are spread over places. */
export interface SchedulerSpread {
  readonly maxSkew: number;
  readonly topologyKey: string;
  /** False: nodes that keep the spread more even are only better. */
  readonly isRequired: boolean;
  /** Of the pods in the same namespace that are counted; absent: none. */
  readonly selector?: readonly SchedulerLabelCondition[];
  /** With fewer places than this, the place with the fewest counts as empty; 1 where nothing is said. */
  readonly placesMin: number;
  /** Whether only nodes that the pod may go to by selector and affinity are counted. */
  readonly honorsAffinity: boolean;
  /** Whether only nodes whose taints the pod tolerates are counted. */
  readonly honorsTaints: boolean;
}

/** What of a pod others look at. */
export interface SchedulerPodTraits {
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** More is more important. */
  readonly priority: number;
  readonly requests: Amounts;
  /**
   * What it counts as where nodes are compared: with something for a container that asks
   * for nothing, which takes room all the same. As `requests` where absent.
   */
  readonly load?: Amounts;
  /** Pods that it is not to share a place with. */
  readonly away?: readonly SchedulerPodTerm[];
}

/** A pod that has a node. */
export interface SchedulerPlacedPod extends SchedulerPodTraits {
  /** It is on its way out. */
  readonly isEnding: boolean;
  /** Later ones are greater. */
  readonly since: number;
}

/** How many of some pods may be taken away. */
export interface SchedulerBudget {
  readonly namespace: string;
  readonly selector: readonly SchedulerLabelCondition[];
  readonly allowed: number;
}

/** A pod without a node that room is being made for. */
export interface SchedulerNominee {
  readonly uid: string;
  readonly nodeName: string;
  readonly priority: number;
  readonly requests: Amounts;
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
  /** Of the same pods, what they count as. As `requested` where absent. */
  readonly load?: Amounts;
  readonly region: string;
  readonly site: string;
  /** Assigned pods by the uid of their owner. */
  readonly podsByOwner: Readonly<Record<string, number>>;
  /** Those that `requested` is the sum of. */
  readonly pods: readonly SchedulerPlacedPod[];
  /** Names of the runtimes that it has. */
  readonly runtimes: readonly string[];
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

export interface SchedulerPod extends SchedulerPodTraits {
  /** `namespace/name` */
  readonly key: string;
  /** Whether pods of less priority may be ended for it. */
  readonly mayPreempt: boolean;
  /** Where room is being made for it. */
  readonly nominatedNode?: string;
  /** Pods that it must share a place with. */
  readonly near?: readonly SchedulerPodTerm[];
  readonly nearPreferred?: readonly SchedulerWeightedTerm[];
  readonly awayPreferred?: readonly SchedulerWeightedTerm[];
  readonly spread?: readonly SchedulerSpread[];
  /** The runtime that it must run in; absent: any that runs its images. */
  readonly runtime?: string;
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
  /** Pods that room is being made for; those among `pods` too. */
  readonly nominees?: readonly SchedulerNominee[];
  readonly budgets?: readonly SchedulerBudget[];
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
      /** Where room is to be made for it, or is being made already: then without victims. */
      readonly nomination?: Nomination;
      /** There was no time to look for room that could be made: try again. */
      readonly isToTryAgain?: true;
    };

export interface Nomination {
  readonly nodeName: string;
  /** Uids of the pods that are to end for it. */
  readonly victims: readonly string[];
}

/** One placement for each pod, in the order of the pods. */
export interface Plan {
  readonly placements: readonly Placement[];
}
