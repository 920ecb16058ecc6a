/** What every controller is given. */
import type {
  CertificateSigningRequest,
  ConfigMap,
  ClusterRole,
  ControllerRevision,
  CronJob,
  CustomResourceDefinition,
  DaemonSet,
  Deployment,
  EndpointSlice,
  GroupVersionResource,
  HorizontalPodAutoscaler,
  Job,
  Namespace,
  Node,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ResourceQuota,
  Service,
  StatefulSet,
  ServiceAccount,
} from '#platform/api/mod.ts';
import type { Client, EventRecorder } from '#platform/client/mod.ts';
import type { Clock, Logger, Random, Timers } from '#platform/io/mod.ts';
import type { Informer, WorkQueue } from '#platform/reconcile/mod.ts';

/** The copies that all controllers read. One watch per kind, however many read it. */
export interface SharedInformers {
  readonly deployments: Informer<Deployment>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly daemonSets: Informer<DaemonSet>;
  readonly statefulSets: Informer<StatefulSet>;
  readonly autoscalers: Informer<HorizontalPodAutoscaler>;
  readonly persistentVolumeClaims: Informer<PersistentVolumeClaim>;
  readonly controllerRevisions: Informer<ControllerRevision>;
  readonly customResourceDefinitions: Informer<CustomResourceDefinition>;
  readonly jobs: Informer<Job>;
  readonly cronJobs: Informer<CronJob>;
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly namespaces: Informer<Namespace>;
  /** The ConfigMaps with the authority's certificate, and no others. */
  readonly rootCertificates: Informer<ConfigMap>;
  readonly serviceAccounts: Informer<ServiceAccount>;
  readonly certificateSigningRequests: Informer<CertificateSigningRequest>;
  readonly clusterRoles: Informer<ClusterRole>;
  readonly podDisruptionBudgets: Informer<PodDisruptionBudget>;
  readonly resourceQuotas: Informer<ResourceQuota>;
  /** Of every kind that is stored now: those above, and those that people declare. */
  readonly all: readonly StoredKind[];
  /** Called for each of `all`, and for each that comes later. */
  onKind(listener: (stored: StoredKind) => void): void;
}

export interface StoredKind {
  readonly kind: KindInfo;
  readonly informer: Informer;
  /** True for a kind that came with a CustomResourceDefinition and may go with it. */
  readonly isDeclared: boolean;
}

export interface KindInfo {
  readonly resource: GroupVersionResource;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ControllerContext {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly informers: SharedInformers;
  readonly queue: WorkQueue;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}
