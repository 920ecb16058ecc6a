/** Starts all controllers over one set of shared copies. */
import { builtInDefinitions, type GroupVersionResource } from '#platform/api/mod.ts';
import { type Client, createEventRecorder, type EventRecorder } from '#platform/client/mod.ts';
import type { Clock, Logger, Random, Timers } from '#platform/io/mod.ts';
import {
  createWorkQueue,
  type ReconcileResult,
  runController,
  type RunningController,
  runManager,
  type WorkQueue,
} from '#platform/reconcile/mod.ts';
import {
  certificateReconciler,
  type SignUserCertificate,
  watchForCertificates,
} from './certificate/reconcile.ts';
import { clusterRoleReconciler, watchForClusterRoles } from './cluster-role/reconcile.ts';
import { cronJobReconciler, watchForCronJobs } from './cron-job/reconcile.ts';
import {
  definitionReconciler,
  watchForDefinitions,
} from './custom-resource-definition/reconcile.ts';
import { daemonSetReconciler, watchForDaemonSets } from './daemon-set/reconcile.ts';
import { deploymentReconciler, watchForDeployments } from './deployment/reconcile.ts';
import { disruptionBudgetReconciler, watchForDisruptionBudgets } from './disruption/reconcile.ts';
import { endpointSliceReconciler, watchForEndpointSlices } from './endpoint-slice/reconcile.ts';
import { garbageReconciler, watchForGarbage } from './garbage/reconcile.ts';
import {
  autoscalerReconciler,
  watchForAutoscalers,
} from './horizontal-pod-autoscaler/reconcile.ts';
import { jobReconciler, watchForJobs } from './job/reconcile.ts';
import { namespaceReconciler, watchForNamespaces } from './namespace/reconcile.ts';
import { claimReconciler, watchForClaims } from './persistent-volume-claim/reconcile.ts';
import { resourceQuotaReconciler, watchForResourceQuotas } from './resource-quota/reconcile.ts';
import { replicaSetReconciler, watchForReplicaSets } from './replica-set/reconcile.ts';
import {
  rootCertificateReconciler,
  watchForRootCertificates,
} from './root-certificate/reconcile.ts';
import { serviceAccountReconciler, watchForServiceAccounts } from './service-account/reconcile.ts';
import type { ControllerContext, SharedInformers } from './shared/context.ts';
import { createSharedInformers, kindOf } from './shared/shared-informers.ts';
import { statefulSetReconciler, watchForStatefulSets } from './stateful-set/reconcile.ts';

export interface ControllersOptions {
  /** A client that acts as the controller of that name, for the record of who did what. */
  readonly clientFor: (controllerName: string) => Client;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Absent: no certificates are signed here. */
  readonly signUserCertificate?: SignUserCertificate;
  /** Of the authority that pods know the API by; absent: none is published. */
  readonly caPem?: string;
}

export interface Controllers {
  /** Resolves when the first lists are there and the controllers run. */
  ready(): Promise<void>;
  /** How many keys wait or are being worked on, by controller. */
  queues(): Iterable<readonly [controller: string, size: number]>;
  /** Resolves when what was under way has come back. */
  close(): Promise<void>;
}

type Reconcile = (key: string) => Promise<ReconcileResult | void>;

export function startControllers(options: ControllersOptions): Controllers {
  const informers = createSharedInformers({
    client: options.clientFor('shared-informers'),
    timers: options.timers,
    random: options.random,
    logger: options.logger.with({ controller: 'shared-informers' }),
  });
  const recorders: EventRecorder[] = [];
  const queues = new Map<string, WorkQueue>();

  function run(
    name: string,
    watch: (context: ControllerContext) => void,
    reconciler: (context: ControllerContext) => Reconcile,
  ): RunningController {
    const { clock, timers, random } = options;
    const client = options.clientFor(name);
    const queue = createWorkQueue({ clock, timers, random });
    queues.set(name, queue);
    const logger = options.logger.with({ controller: name });
    const events = createEventRecorder(client, clock, { component: name });
    recorders.push(events);
    const context = { client, events, informers, queue, clock, timers, random, logger };
    const reconcile = reconciler(context);
    watch(context);
    return runController({ name, queue, logger, reconcile });
  }

  const manager = runManager(informers.builtIn, () => [
    run('deployment-controller', watchForDeployments, deploymentReconciler),
    run('replicaset-controller', watchForReplicaSets, replicaSetReconciler),
    run('daemonset-controller', watchForDaemonSets, daemonSetReconciler),
    run('statefulset-controller', watchForStatefulSets, statefulSetReconciler),
    run('persistentvolumeclaim-controller', watchForClaims, claimReconciler),
    run('horizontal-pod-autoscaler', watchForAutoscalers, autoscalerReconciler),
    run('job-controller', watchForJobs, jobReconciler),
    run('cronjob-controller', watchForCronJobs, cronJobReconciler),
    run('endpointslice-controller', watchForEndpointSlices, endpointSliceReconciler),
    run('disruption-controller', watchForDisruptionBudgets, disruptionBudgetReconciler),
    run('resourcequota-controller', watchForResourceQuotas, resourceQuotaReconciler),
    run(
      'customresourcedefinition-controller',
      (context) => watchForDefinitions(context, (kinds) => informers.declare(kinds)),
      definitionReconciler,
    ),
    run('garbage-collector', watchForGarbage, garbageReconciler),
    run('clusterrole-aggregation-controller', watchForClusterRoles, clusterRoleReconciler),
    run('csrsigning-controller', watchForCertificates, (context) =>
      certificateReconciler(context, options.signUserCertificate),
    ),
    run('root-ca-certificate-publisher-controller', watchForRootCertificates, (context) =>
      rootCertificateReconciler(context, options.caPem),
    ),
    run('serviceaccount-controller', watchForServiceAccounts, serviceAccountReconciler),
    run('namespace-controller', watchForNamespaces, (context) =>
      namespaceReconciler(context, () => namespaceContents(informers)),
    ),
  ]);
  return {
    ready: () => manager.ready(),
    queues: () => Array.from(queues, ([name, queue]) => [name, queue.size()] as const),
    async close() {
      await manager.close();
      informers.close();
      await Promise.all(recorders.map((recorder) => recorder.idle()));
    },
  };
}

/** Workloads come before what they would make again. */
function namespaceContents({ all }: SharedInformers): GroupVersionResource[] {
  const builtIn = builtInDefinitions
    .filter(
      ({ namespaced, verbs, viewOf }) =>
        namespaced && verbs.includes('delete') && viewOf === undefined,
    )
    .map((definition) => kindOf(definition).resource)
    .sort((left, right) => Number(isWorkload(right)) - Number(isWorkload(left)));
  const declared = all.filter(({ kind, isDeclared }) => isDeclared && kind.namespaced);
  return [...declared.map(({ kind }) => kind.resource), ...builtIn];
}

function isWorkload({ group }: GroupVersionResource): boolean {
  return group === 'apps' || group === 'batch';
}
