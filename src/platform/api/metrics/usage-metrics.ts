/**
 * NodeMetrics and PodMetrics: what nodes and pods use just now, as `kubectl top` and
 * autoscalers read it. Made when they are read, by asking the nodes.
 */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { instant, keyedList, mapOf, quantity, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { objectSchema } from '../meta/metadata.ts';

/** What one node uses, as it answers: the machine, and each container on it. */
export interface NodeUsage {
  readonly atWallMs: number;
  /** Over how long the use of processors was measured. */
  readonly windowMs: number;
  readonly cpuNanoCores: number;
  readonly memoryBytes: number;
  readonly containers: readonly {
    readonly podUid: string;
    readonly container: string;
    readonly cpuNanoCores: number;
    readonly memoryBytes: number;
  }[];
}

/** Such as `12345678n` and `20480Ki`. */
export type UsageAmounts = { cpu: string; memory: string };

export interface NodeMetrics extends ApiObject {
  timestamp: string;
  window: string;
  usage: UsageAmounts;
}

export interface PodMetrics extends ApiObject {
  timestamp: string;
  window: string;
  containers: { name: string; usage: UsageAmounts }[];
}

const usage = mapOf('How much is used, by resource.', quantity('How much of it.'));
const timestamp = instant('When it was measured.');
const window = text('Over how long the use of processors was measured, such as `15s`.');

const shared = {
  group: 'metrics.k8s.io',
  version: 'v1beta1',
  shortNames: [],
  categories: [],
  verbs: ['get', 'list'],
  subresources: [],
  storage: 'synthesized',
  selectableFields: {},
  facets: defaultFacetLayout(),
} satisfies Partial<ResourceDefinition>;

export const nodeMetricsDefinition: ResourceDefinition = {
  ...shared,
  kind: 'NodeMetrics',
  plural: 'nodes',
  singular: 'nodemetrics',
  namespaced: false,
  schema: objectSchema('What a node uses just now: the whole machine, not its pods alone.', {
    timestamp,
    window,
    usage,
  }),
  columns: [
    column('CPU', 'string', 'Processor time, in cores.', (object) => {
      return (object as NodeMetrics).usage.cpu;
    }),
    column('Memory', 'string', 'Memory that cannot be given back at once.', (object) => {
      return (object as NodeMetrics).usage.memory;
    }),
    column('Window', 'string', 'Over how long it was measured.', (object) => {
      return (object as NodeMetrics).window;
    }),
    ageColumn,
  ],
};

export const podMetricsDefinition: ResourceDefinition = {
  ...shared,
  kind: 'PodMetrics',
  plural: 'pods',
  singular: 'podmetrics',
  namespaced: true,
  schema: objectSchema('What the containers of a pod use just now.', {
    timestamp,
    window,
    containers: keyedList(
      'The containers that run.',
      ['name'],
      record('One container.', { name: text('Its name in the pod.'), usage }),
    ),
  }),
  columns: [
    column('Containers', 'integer', 'How many were measured.', (object) => {
      return (object as PodMetrics).containers.length;
    }),
    column('Window', 'string', 'Over how long they were measured.', (object) => {
      return (object as PodMetrics).window;
    }),
    ageColumn,
  ],
};
