/**
 * How long a plan for 1,000 pods on 1,000 nodes takes: plain ones, ones that keep apart or
 * are spread, and ones for which others must end. Run: `node bench/scheduler.ts`.
 */
import { planPlacement, type SchedulerNode, type SchedulerPod } from '#engines/scheduler/mod.ts';

const nodes = Array.from({ length: 1000 }, (_, index): SchedulerNode => {
  const requests = { cpuMilli: 100, memoryBytes: 2 ** 20 };
  const pods = Array.from({ length: 20 }, (_other, position) => ({
    uid: `there-${index}-${position}`,
    namespace: 'default',
    labels: { app: `app-${position % 10}` },
    priority: position % 3,
    requests,
    isEnding: false,
    since: position,
  }));
  return {
    name: `node-${index}`,
    isReady: true,
    isUnschedulable: false,
    taints: [],
    labels: { 'selvage.dev/site': `site-${index % 50}`, host: `node-${index}` },
    platforms: ['script/javascript'],
    allocatable: { cpuMilli: 4000, memoryBytes: 2 ** 33, podsMax: 110 },
    requested: { cpuMilli: 2000 + ((index * 37) % 1000), memoryBytes: 20 * 2 ** 20, pods: 20 },
    region: `region-${index % 5}`,
    site: `site-${index % 50}`,
    podsByOwner: {},
    pods,
    runtimes: ['script'],
  };
});

function podsWith(changes: (app: string) => Partial<SchedulerPod>): SchedulerPod[] {
  return Array.from({ length: 1000 }, (_, index) => {
    const app = `app-${index % 10}`;
    return {
      key: `default/pod-${index}`,
      uid: `uid-${index}`,
      namespace: 'default',
      labels: { app },
      priority: 0,
      mayPreempt: true,
      requests: { cpuMilli: 100, memoryBytes: 2 ** 26 },
      nodeSelector: {},
      tolerations: [],
      platformsByContainer: [['script/javascript']],
      ownerUid: `owner-${index % 10}`,
      ...changes(app),
    };
  });
}

const own = (app: string) => [{ key: 'app', operator: 'In' as const, values: [app] }];
const apart = (app: string, topologyKey: string) => ({
  namespaces: ['default'],
  selector: own(`${app}-apart`),
  topologyKey,
});
const spread = (app: string, topologyKey: string) => ({
  maxSkew: 1,
  topologyKey,
  isRequired: true,
  selector: own(app),
  placesMin: 1,
  honorsAffinity: true,
  honorsTaints: false,
});

const kinds: Readonly<Record<string, readonly SchedulerPod[]>> = {
  plain: podsWith(() => ({})),
  apart: podsWith((app) => ({ labels: { app: `${app}-apart` }, away: [apart(app, 'host')] })),
  spread: podsWith((app) => ({ spread: [spread(app, 'selvage.dev/site'), spread(app, 'host')] })),
  'near by preference': podsWith((app) => ({
    nearPreferred: [{ weight: 10, term: { ...apart(app, 'host'), selector: own(app) } }],
  })),
};

function medianOf(pods: readonly SchedulerPod[], isPlaced: boolean): number {
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    // Time of the processor: what else the machine does is no matter.
    const began = process.cpuUsage();
    const { placements } = planPlacement({ nodes, pods });
    times.push(process.cpuUsage(began).user / 1_000);
    if (isPlaced && placements.some((placement) => placement.type !== 'placed')) {
      throw new Error('all should fit');
    }
  }
  times.sort((left, right) => left - right);
  return times[2] ?? 0;
}

for (const [name, pods] of Object.entries(kinds)) {
  console.log(`1,000 pods on 1,000 nodes, ${name}: ${medianOf(pods, true).toFixed(0)} ms`);
}
const urgent = podsWith(() => ({ priority: 9, requests: { cpuMilli: 2200, memoryBytes: 0 } }));
console.log(`1,000 pods for which others must end: ${medianOf(urgent, false).toFixed(0)} ms`);
