/** What must hold of the fleet once all trouble is over. */
import { equalBytes, isJsonObject, type JsonObject } from '#base/mod.ts';
import { resources } from '#platform/api/mod.ts';
import type { ApiObject } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { openStore, type Store, type StoredObject } from '#platform/store/mod.ts';
import {
  deploymentName,
  deploymentNamespace,
  serverHostName,
  storedResources,
} from './constants.ts';
import type { Fleet } from './fleet.ts';
import { invariants } from './invariants/invariants.ts';
import { podUidOf } from './pod-processes.ts';
import type { Declared } from './scenario.ts';
import { storeFolder } from './server-host.ts';

const lookEveryMs = 1_000;
/** Looks in a row without a complaint before the fleet counts as at rest. */
const quietLooks = 3;

/**
 * Resolves once the fleet is as declared, and stays so; throws what is still amiss.
 * Undefined: nothing is declared yet, only the nodes are looked at.
 */
export async function requireConvergence(
  fleet: Fleet,
  declared: Declared | undefined,
): Promise<void> {
  const { timers, clock } = fleet.world;
  const { convergenceLimitMs } = fleet.pace;
  const startMs = clock.monotonicMs();
  let quiet = 0;
  for (;;) {
    const complaint = await complaintAbout(fleet, declared);
    quiet = complaint === undefined ? quiet + 1 : 0;
    if (quiet === quietLooks) return;
    if (clock.monotonicMs() - startMs > convergenceLimitMs) {
      // Who cannot be reached is behind for that; else what is behind is what is wrong.
      if (complaint?.isAway !== true) fleet.checkers.requireSettled();
      const why = `not as declared ${convergenceLimitMs / 1000} s after all was healed`;
      fleet.violated(
        invariants.fleetConverges,
        `${why}: ${complaint?.text ?? 'it does not stay so'}`,
      );
      return fleet.failed;
    }
    await sleep(timers, lookEveryMs);
  }
}

interface Complaint {
  readonly text: string;
  /** A node is not there. */
  readonly isAway: boolean;
}

/** The first thing that is not as it should be. */
async function complaintAbout(
  fleet: Fleet,
  declared: Declared | undefined,
): Promise<Complaint | undefined> {
  const { operator } = fleet;
  const nodes = await operator.persist('list nodes', (client) => client.list(resources.nodes));
  const unready = nodes.items.find((node) => !hasCondition(node, 'Ready'));
  if (nodes.items.length !== fleet.nodes.length) {
    return { text: `${nodes.items.length} nodes are known`, isAway: true };
  }
  if (unready !== undefined) {
    return { text: `node ${unready.metadata.name} is not Ready`, isAway: true };
  }
  if (declared === undefined) return undefined;
  const deployment = await operator.persist('get the deployment', (client) =>
    client.get(resources.deployments, deploymentNamespace, deploymentName),
  );
  const { items: pods } = await operator.persist('list pods', (client) =>
    client.list(resources.pods, { namespace: deploymentNamespace }),
  );
  const text =
    complaintAboutPods(pods, declared) ??
    complaintAboutProcesses(fleet, pods) ??
    complaintAboutDeployment(deployment, declared) ??
    fleet.checkers.unsettled();
  return text === undefined ? undefined : { text, isAway: false };
}

function complaintAboutDeployment(deployment: ApiObject, declared: Declared): string | undefined {
  const { status = {}, spec = {}, metadata } = deployment;
  if (spec['replicas'] !== declared.replicas)
    return `spec.replicas is ${JSON.stringify(spec['replicas'])}`;
  if (status['observedGeneration'] !== metadata.generation) return 'the deployment is not observed';
  for (const field of ['replicas', 'updatedReplicas', 'readyReplicas', 'availableReplicas']) {
    if ((status[field] ?? 0) !== declared.replicas) {
      return `the deployment's ${field} is ${JSON.stringify(status[field])} of ${declared.replicas}`;
    }
  }
  return undefined;
}

function complaintAboutPods(pods: readonly ApiObject[], declared: Declared): string | undefined {
  if (pods.length !== declared.replicas) return `${pods.length} pods of ${declared.replicas}`;
  const addresses = new Set<unknown>();
  for (const pod of pods) {
    const { name } = pod.metadata;
    if (pod.metadata.deletionTimestamp !== undefined) return `pod ${name} is being deleted`;
    if (pod.status?.['phase'] !== 'Running' || !hasCondition(pod, 'Ready')) {
      return `pod ${name} on ${JSON.stringify(pod.spec?.['nodeName'])} is not Ready: ${JSON.stringify(pod.status)}`;
    }
    addresses.add(pod.status['podIP']);
    const template = pod.metadata.annotations?.['example/rollout'];
    if (declared.rollout > 0 && template !== String(declared.rollout)) {
      return `pod ${name} is of rollout ${template ?? '0'}, not ${declared.rollout}`;
    }
  }
  return addresses.size === pods.length ? undefined : 'two pods have the same address';
}

/** Exactly the pods that the API shows run, each on its node, each once, whole. */
function complaintAboutProcesses(fleet: Fleet, pods: readonly ApiObject[]): string | undefined {
  for (const host of fleet.nodes) {
    const wanted = pods
      .filter((pod) => pod.spec?.['nodeName'] === host.name)
      .flatMap((pod) =>
        ['node', 'sh', 'unshare'].map((part) => `${pod.metadata.uid ?? ''} ${part}`),
      )
      .sort();
    const found = host.processes
      .list()
      .map(({ pid, command }) => `${podUidOf(host, pid) ?? ''} ${command}`)
      .sort();
    if (wanted.join() !== found.join()) {
      return `on ${host.name} run [${found.join(', ')}] and not [${wanted.join(', ')}]`;
    }
  }
  return undefined;
}

function hasCondition(object: ApiObject, type: string): boolean {
  const conditions = object.status?.['conditions'];
  if (!Array.isArray(conditions)) return false;
  const found = conditions.filter(isJsonObject).find((one: JsonObject) => one['type'] === type);
  return found?.['status'] === 'True';
}

function contentOf(store: Store): StoredObject[] {
  return storedResources.flatMap((resource) => [...store.list(resource)]);
}

/** Kills the server and opens its store again: what it held is what its log holds. */
export async function requireSameStateFromLog(fleet: Fleet): Promise<number> {
  const live = fleet.server?.store;
  if (live === undefined) throw fleet.failure('SIM_NOT_READY', 'the server does not run');
  const before = contentOf(live);
  const head = live.head();
  fleet.stopServer('power-cut');
  const { disk, random, logger, clock } = fleet.serverHost.boot();
  const store = await openStore({ disk: disk.within(storeFolder), random, logger, clock }).catch(
    (thrown: unknown) => {
      fleet.processFailed(serverHostName, thrown);
      return fleet.failed;
    },
  );
  const after = contentOf(store);
  const differs = (what: string): Error => {
    fleet.violated(invariants.stateIsFold, `the store opened again differs: ${what}`);
    return fleet.processFailure ?? fleet.failure('SIM_NOT_READY', what);
  };
  // What was committed after `head` was read is more, never less.
  if (store.cursorAt(head.sequence)?.chainHash !== head.chainHash) throw differs('its history');
  if (store.head().sequence === head.sequence) {
    if (before.length !== after.length) throw differs(`${after.length} objects`);
    for (const [index, object] of before.entries()) {
      const again = after[index];
      if (again === undefined || !isSameObject(object, again)) throw differs(object.key.name);
    }
  }
  await store.close();
  return after.length;
}

function isSameObject(left: StoredObject, right: StoredObject): boolean {
  const facets = Object.entries(left.facets);
  return (
    left.uid === right.uid &&
    left.revision === right.revision &&
    left.createdRevision === right.createdRevision &&
    JSON.stringify(left.key) === JSON.stringify(right.key) &&
    facets.length === Object.keys(right.facets).length &&
    facets.every(([name, value]) => {
      const other = right.facets[name as keyof typeof right.facets];
      return (
        other !== undefined &&
        other.revision === value.revision &&
        equalBytes(other.bytes, value.bytes)
      );
    })
  );
}
