/** The kinds that the program serves. The one list of them. */
import { deploymentDefinition } from './apps/deployment.ts';
import { replicaSetDefinition } from './apps/replica-set.ts';
import { leaseDefinition } from './coordination/lease.ts';
import { configMapDefinition } from './core/config-map.ts';
import { eventDefinition } from './core/event.ts';
import { namespaceDefinition } from './core/namespace.ts';
import { nodeDefinition } from './core/node.ts';
import { podDefinition } from './core/pod.ts';
import { secretDefinition } from './core/secret.ts';
import type { ResourceDefinition } from './definition.ts';
import { regionDefinition } from './selvage/region.ts';
import { siteDefinition } from './selvage/site.ts';

export const builtInDefinitions: readonly ResourceDefinition[] = [
  namespaceDefinition,
  nodeDefinition,
  podDefinition,
  configMapDefinition,
  secretDefinition,
  eventDefinition,
  deploymentDefinition,
  replicaSetDefinition,
  leaseDefinition,
  regionDefinition,
  siteDefinition,
];
