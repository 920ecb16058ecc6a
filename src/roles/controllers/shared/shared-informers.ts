/**
 * The copies that all controllers read: one informer per stored kind, because garbage
 * may belong to any of them.
 *
 * Invariants:
 * 1. The kinds of the program are there from the start to the end.
 * 2. A declared kind has an informer exactly while it is among those that were declared
 *    last; in another version it gets another one.
 */
import {
  type ApiObject,
  builtInDefinitions,
  type GroupVersionResource,
  type ResourceDefinition,
  resources,
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
  const makeInformer = ({ resource }: KindInfo): Informer =>
    createInformer(client, resource, {
      ...{ timers, random, logger },
      indexes: { [unmanagedIndex]: unmanagedIn },
    });
  const builtIn: readonly StoredKind[] = builtInDefinitions
    .filter((definition) => definition.storage === 'main')
    .map((definition) => {
      const kind = kindOf(definition);
      return { kind, informer: makeInformer(kind), isDeclared: false };
    });
  let declared: readonly StoredKind[] = [];
  let all = builtIn;

  function of<Kind extends ApiObject>(resource: GroupVersionResource): Informer<Kind> {
    const found = builtIn.find(
      ({ kind }) =>
        kind.resource.plural === resource.plural && kind.resource.group === resource.group,
    );
    if (found === undefined) throw new RangeError(`no stored kind ${resource.plural}`);
    return found.informer as Informer<Kind>;
  }

  return {
    get all() {
      return all;
    },
    onKind(listener) {
      listeners.push(listener);
      for (const stored of all) listener(stored);
    },
    builtIn: builtIn.map(({ informer }) => informer),
    declare(kinds) {
      const kept = declared.filter(({ kind }) => kinds.some((other) => isSameKind(kind, other)));
      for (const stored of declared) if (!kept.includes(stored)) stored.informer.close();
      const added = kinds
        .filter((kind) => !kept.some((stored) => isSameKind(stored.kind, kind)))
        .map((kind) => ({ kind, informer: makeInformer(kind), isDeclared: true }));
      declared = [...kept, ...added];
      all = [...builtIn, ...declared];
      for (const stored of added) {
        for (const listener of listeners) listener(stored);
        stored.informer.start();
      }
    },
    close() {
      for (const { informer } of declared) informer.close();
    },
    deployments: of(resources.deployments),
    replicaSets: of(resources.replicaSets),
    daemonSets: of(resources.daemonSets),
    statefulSets: of(resources.statefulSets),
    persistentVolumeClaims: of(resources.persistentVolumeClaims),
    controllerRevisions: of(resources.controllerRevisions),
    jobs: of(resources.jobs),
    cronJobs: of(resources.cronJobs),
    services: of(resources.services),
    endpointSlices: of(resources.endpointSlices),
    pods: of(resources.pods),
    nodes: of(resources.nodes),
    namespaces: of(resources.namespaces),
    serviceAccounts: of(resources.serviceAccounts),
    certificateSigningRequests: of(resources.certificateSigningRequests),
    clusterRoles: of(resources.clusterRoles),
  };
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
