/** How long a plan for 1,000 pods on 1,000 nodes takes. Run: `node bench/scheduler.ts`. */
import { planPlacement } from '#engines/scheduler/mod.ts';

const nodes = Array.from({ length: 1000 }, (_, index) => ({
  name: `node-${index}`,
  isReady: true,
  isUnschedulable: false,
  taints: [],
  labels: { 'selvage.dev/site': `site-${index % 50}` },
  platforms: ['script/javascript'],
  allocatable: { cpuMilli: 4000, memoryBytes: 2 ** 33, podsMax: 110 },
  requested: { cpuMilli: (index * 37) % 1000, memoryBytes: 0, pods: index % 7 },
  region: `region-${index % 5}`,
  site: `site-${index % 50}`,
  podsByOwner: {},
}));
const pods = Array.from({ length: 1000 }, (_, index) => ({
  key: `default/pod-${index}`,
  uid: `uid-${index}`,
  requests: { cpuMilli: 100, memoryBytes: 2 ** 26 },
  nodeSelector: {},
  tolerations: [],
  platformsByContainer: [['script/javascript']],
  ownerUid: `owner-${index % 10}`,
}));

const times: number[] = [];
for (let round = 0; round < 5; round += 1) {
  const began = performance.now();
  const { placements } = planPlacement({ nodes, pods });
  times.push(performance.now() - began);
  if (placements.some((placement) => placement.type !== 'placed'))
    throw new Error('all should fit');
}
times.sort((left, right) => left - right);
console.log(`1,000 pods on 1,000 nodes: ${(times[2] ?? 0).toFixed(0)} ms (median of 5)`);
