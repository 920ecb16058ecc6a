/**
 * The copies that all controllers read: one informer per stored kind, because garbage
 * may belong to any of them.
 *
 * Invariants:
 * 1. Of kinds that no controller reads more of there is only the metadata: of
 *    ConfigMaps, Secrets and whatever people declare.
 * 2. The kinds of the program are there from the start to the end.
 * 3. A declared kind has an informer exactly while it is among those that were declared
 *    last; in another version it gets another one.
 */
import {
  type ApiObject,
  builtInDefinitions,
  type ConfigMap,
  type GroupVersionResource,
  type ResourceDefinition,
  resources,
  rootCertificateMapName,
} from '#platform/api/mod.ts';
import type { Client } from '#platform/client/mod.ts';
import type { Logger, Random, Timers } from '#platform/io/mod.ts';
import { createInformer, type Informer } from '#platform/reconcile/mod.ts';
import { unmanagedIn, unmanagedIndex } from './adopt.ts';
import type { KindInfo, SharedInformers, StoredKind } from './context.ts';

export interface SharedInformerOptions {
  readonly client: Client;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface OwnedInformers extends SharedInformers {
  /** Those of the program; whoever runs them starts and stops them. */
  readonly builtIn: readonly Informer[];
  /** The declared kinds that are served now, all of them. */
  declare(kinds: readonly KindInfo[]): void;
  /** Stops those of declared kinds. */
  close(): void;
}

export function createSharedInformers(options: SharedInformerOptions): OwnedInformers {
  const { client, timers, random, logger } = options;
  const listeners: ((stored: StoredKind) => void)[] = [];
  const makeInformer = ({ resource }: KindInfo, isRead: boolean): Informer =>
    createInformer(client, resource, {
      ...{ timers, random, logger },
      ...(isRead ? {} : { form: 'metadata' as const }),
      indexes: { [unmanagedIndex]: unmanagedIn },
    });
  /** Of the kinds that controllers read: whoever is named below is read whole. */
  const whole = new Map<ResourceDefinition, Informer>();
  let declared: readonly StoredKind[] = [];
  let builtInKinds: readonly StoredKind[] | undefined;
  const builtIn = (): readonly StoredKind[] =>
    (builtInKinds ??= builtInDefinitions.filter(isStored).map((definition) => {
      const kind = kindOf(definition);
      const informer = whole.get(definition) ?? makeInformer(kind, false);
      return { kind, informer, isDeclared: false };
    }));

  const rootCertificates: Informer<ConfigMap> = createInformer(client, resources.configMaps, {
    ...{ timers, random, logger },
    fieldSelector: `metadata.name=${rootCertificateMapName}`,
  });
  let allKinds: readonly StoredKind[] | undefined;
  const all = (): readonly StoredKind[] => (allKinds ??= [...builtIn(), ...declared]);

  function of<Kind extends ApiObject>(resource: GroupVersionResource): Informer<Kind> {
    const found = builtInDefinitions
      .filter(isStored)
      .find(({ group, plural }) => plural === resource.plural && group === resource.group);
    if (found === undefined) throw new RangeError(`no stored kind ${resource.plural}`);
    const informer = makeInformer(kindOf(found), true);
    whole.set(found, informer);
    return informer as Informer<Kind>;
  }

  return {
    get all() {
      return all();
    },
    onKind(listener) {
      listeners.push(listener);
      for (const stored of all()) listener(stored);
    },
    get builtIn() {
      return [...builtIn().map(({ informer }) => informer), rootCertificates];
    },
    declare(kinds) {
      const kept = declared.filter(({ kind }) => kinds.some((other) => isSameKind(kind, other)));
      for (const stored of declared) if (!kept.includes(stored)) stored.informer.close();
      const added = kinds
        .filter((kind) => !kept.some((stored) => isSameKind(stored.kind, kind)))
        .map((kind) => ({ kind, informer: makeInformer(kind, false), isDeclared: true }));
      declared = [...kept, ...added];
      allKinds = undefined;
      for (const stored of added) {
        for (const listener of listeners) listener(stored);
        stored.informer.start();
      }
    },
    close() {
      for (const { informer } of declared) informer.close();
    },
    podDisruptionBudgets: of(resources.podDisruptionBudgets),
    resourceQuotas: of(resources.resourceQuotas),
    deployments: of(resources.deployments),
    replicaSets: of(resources.replicaSets),
    daemonSets: of(resources.daemonSets),
    statefulSets: of(resources.statefulSets),
    autoscalers: of(resources.autoscalers),
    persistentVolumeClaims: of(resources.persistentVolumeClaims),
    controllerRevisions: of(resources.controllerRevisions),
    customResourceDefinitions: of(resources.customResourceDefinitions),
    jobs: of(resources.jobs),
    cronJobs: of(resources.cronJobs),
    services: of(resources.services),
    endpointSlices: of(resources.endpointSlices),
    pods: of(resources.pods),
    nodes: of(resources.nodes),
    namespaces: of(resources.namespaces),
    rootCertificates,
    serviceAccounts: of(resources.serviceAccounts),
    certificateSigningRequests: of(resources.certificateSigningRequests),
    clusterRoles: of(resources.clusterRoles),
  };
}

function isStored({ storage, viewOf }: ResourceDefinition): boolean {
  return storage === 'main' && viewOf === undefined;
}

export function kindOf(
  definition: Pick<ResourceDefinition, 'group' | 'version' | 'plural' | 'kind' | 'namespaced'>,
): KindInfo {
  const { group, version, plural, kind, namespaced } = definition;
  return { resource: { group, version, plural }, kind, namespaced };
}

function isSameKind(left: KindInfo, right: KindInfo): boolean {
  return (
    left.resource.group === right.resource.group &&
    left.resource.version === right.resource.version &&
    left.resource.plural === right.resource.plural &&
    left.kind === right.kind &&
    left.namespaced === right.namespaced
  );
}
