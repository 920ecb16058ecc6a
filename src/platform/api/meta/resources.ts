/** Where each kind is served: the one list of names that programs address kinds by. */
import type { GroupVersionResource } from '../object.ts';

function core(plural: string): GroupVersionResource {
  return { group: '', version: 'v1', plural };
}

function rbac(plural: string): GroupVersionResource {
  return { group: 'rbac.authorization.k8s.io', version: 'v1', plural };
}

export const resources = {
  namespaces: core('namespaces'),
  nodes: core('nodes'),
  pods: core('pods'),
  configMaps: core('configmaps'),
  secrets: core('secrets'),
  services: core('services'),
  persistentVolumeClaims: core('persistentvolumeclaims'),
  serviceAccounts: core('serviceaccounts'),
  events: core('events'),
  deployments: { group: 'apps', version: 'v1', plural: 'deployments' },
  replicaSets: { group: 'apps', version: 'v1', plural: 'replicasets' },
  daemonSets: { group: 'apps', version: 'v1', plural: 'daemonsets' },
  statefulSets: { group: 'apps', version: 'v1', plural: 'statefulsets' },
  autoscalers: { group: 'autoscaling', version: 'v2', plural: 'horizontalpodautoscalers' },
  controllerRevisions: { group: 'apps', version: 'v1', plural: 'controllerrevisions' },
  jobs: { group: 'batch', version: 'v1', plural: 'jobs' },
  cronJobs: { group: 'batch', version: 'v1', plural: 'cronjobs' },
  endpointSlices: { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' },
  storageClasses: { group: 'storage.k8s.io', version: 'v1', plural: 'storageclasses' },
  podMetrics: { group: 'metrics.k8s.io', version: 'v1beta1', plural: 'pods' },
  customResourceDefinitions: {
    group: 'apiextensions.k8s.io',
    version: 'v1',
    plural: 'customresourcedefinitions',
  },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' },
  certificateSigningRequests: {
    group: 'certificates.k8s.io',
    version: 'v1',
    plural: 'certificatesigningrequests',
  },
  roles: rbac('roles'),
  clusterRoles: rbac('clusterroles'),
  roleBindings: rbac('rolebindings'),
  clusterRoleBindings: rbac('clusterrolebindings'),
  resourceQuotas: core('resourcequotas'),
  limitRanges: core('limitranges'),
  podDisruptionBudgets: { group: 'policy', version: 'v1', plural: 'poddisruptionbudgets' },
  priorityClasses: { group: 'scheduling.k8s.io', version: 'v1', plural: 'priorityclasses' },
  runtimeClasses: { group: 'node.k8s.io', version: 'v1', plural: 'runtimeclasses' },
  regions: { group: 'selvage.dev', version: 'v1', plural: 'regions' },
  sites: { group: 'selvage.dev', version: 'v1', plural: 'sites' },
} as const satisfies Record<string, GroupVersionResource>;

/** Verbs of a kind that users write. */
export const allVerbs = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
] as const;
