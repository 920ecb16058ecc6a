/**
 * What happens to the simulated fleet: an operator who changes its mind, and a
 * world that breaks things. Every choice is drawn from the seed; each seed draws
 * how much of each trouble it has, some none.
 */
import { StatusError, resources, type ApiObject } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import type { Host, SeededRandom } from '#platform/sim/mod.ts';
import { deploymentName, deploymentNamespace, imageName, serverHostName } from './constants.ts';
import type { Fleet } from './fleet.ts';
import { ensureCreated } from './operator.ts';

/** How often each thing was done. */
export interface ScenarioCounts {
  scales: number;
  rollouts: number;
  podDeletions: number;
  cordons: number;
  workloadKills: number;
  agentCrashes: number;
  nodePowerCuts: number;
  linkCuts: number;
  resets: number;
  serverCrashes: number;
  serverPowerCuts: number;
}

export type Trouble = keyof ScenarioCounts;

/** What the operator wants at the end. */
export interface Declared {
  replicas: number;
  rollout: number;
}

const shortestPauseMs = 2_000;
const longestPauseMs = 30_000;
const longestCutMs = 60_000;
const longestDownMs = 20_000;
const longestWaitForWriteMs = 10_000;
const replicasPerNodeMax = 2;

/** Relative weights, before each seed mutes some of them. */
const weights: Readonly<Record<Trouble, number>> = {
  scales: 5,
  rollouts: 3,
  podDeletions: 3,
  cordons: 2,
  workloadKills: 3,
  agentCrashes: 3,
  nodePowerCuts: 1,
  linkCuts: 3,
  resets: 2,
  serverCrashes: 1,
  serverPowerCuts: 1,
};
const mutedShare = 0.25;

export class Scenario {
  readonly declared: Declared;
  readonly counts: ScenarioCounts;
  readonly #fleet: Fleet;
  readonly #random: SeededRandom;
  readonly #weights: readonly [Trouble, number][];

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#random = fleet.world.random('operator');
    this.declared = { replicas: this.#random.below(2 * fleet.nodes.length) + 1, rollout: 0 };
    const troubles = Object.keys(weights) as Trouble[];
    this.counts = Object.fromEntries(
      troubles.map((name) => [name, 0]),
    ) as unknown as ScenarioCounts;
    this.#weights = troubles.map((name) => [
      name,
      this.#random.chance(mutedShare) ? 0 : weights[name],
    ]);
  }

  async apply(): Promise<void> {
    await ensureCreated(this.#fleet.operator, resources.deployments, this.#deployment());
  }

  /** Troubles the fleet until that instant of the world. */
  async run(untilMs: number): Promise<void> {
    const { clock, timers } = this.#fleet.world;
    while (clock.monotonicMs() < untilMs) {
      await sleep(timers, this.#random.between(shortestPauseMs, longestPauseMs));
      if (this.#fleet.processFailure !== undefined) throw this.#fleet.processFailure;
      await this.#trouble(this.#draw());
    }
  }

  /** Ends all trouble: links are whole, processes run, nodes take pods. */
  async heal(): Promise<void> {
    const { world, nodes, serverHost } = this.#fleet;
    world.faults.heal();
    if (!serverHost.isRunning) this.#fleet.startServer();
    for (const node of nodes) if (!node.isRunning) this.#fleet.startAgent(node);
    for (const node of nodes) await this.#setUnschedulable(node, false);
  }

  #draw(): Trouble | undefined {
    const total = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
    let left = this.#random.unit() * total;
    for (const [name, weight] of this.#weights) {
      left -= weight;
      if (left < 0) return name;
    }
    return undefined;
  }

  async #trouble(name: Trouble | undefined): Promise<void> {
    if (name === undefined) return;
    const done = await this.#actions[name]();
    if (done) this.counts[name] += 1;
  }

  /** Each says whether it found something to do. */
  readonly #actions: Readonly<Record<Trouble, () => Promise<boolean>>> = {
    scales: async () => {
      const { nodes } = this.#fleet;
      this.declared.replicas = this.#random.below(nodes.length * replicasPerNodeMax + 1);
      const spec = { replicas: this.declared.replicas };
      await this.#patchDeployment('scale', { spec }, 'scale');
      return true;
    },
    rollouts: async () => {
      this.declared.rollout += 1;
      const annotations = { 'example/rollout': String(this.declared.rollout) };
      await this.#patchDeployment('roll out', {
        spec: { template: { metadata: { annotations } } },
      });
      return true;
    },
    podDeletions: async () => {
      const pods = await this.#pods();
      if (pods.length === 0) return false;
      const { name } = this.#random.pick(pods).metadata;
      const gracePeriodSeconds = this.#random.pick([0, 1, 5, 30]);
      await this.#fleet.operator.persist(`delete pod ${name}`, async (client) => {
        try {
          await client.delete(resources.pods, deploymentNamespace, name, { gracePeriodSeconds });
        } catch (thrown) {
          if (!(thrown instanceof StatusError) || thrown.reason !== 'NotFound') throw thrown;
        }
      });
      return true;
    },
    cordons: async () => {
      await this.#setUnschedulable(this.#node(), this.#random.chance(0.6));
      return true;
    },
    workloadKills: async () => {
      const node = this.#node();
      const workloads = node.processes.list().filter((entry) => entry.command === 'node');
      if (workloads.length === 0) return false;
      return node.processes.kill(this.#random.pick(workloads).pid);
    },
    agentCrashes: async () => this.#takeDown(this.#node(), 'crash'),
    nodePowerCuts: async () => this.#takeDown(this.#node(), 'power-cut'),
    linkCuts: async () => {
      const { world } = this.#fleet;
      const { name } = this.#node();
      const [from, to] = this.#random.chance(0.5) ? [name, serverHostName] : [serverHostName, name];
      world.faults.partition(from, to, this.#random.chance(0.6) ? 'both' : 'one-way');
      world.timers.after(this.#random.between(1_000, longestCutMs), () => {
        world.faults.heal(from, to);
      });
      return true;
    },
    resets: async () =>
      this.#fleet.world.faults.resetConnections(this.#node().name, serverHostName) > 0,
    serverCrashes: async () => this.#takeServerDown('crash'),
    serverPowerCuts: async () => this.#takeServerDown('power-cut'),
  };

  async #takeDown(node: Host, how: 'crash' | 'power-cut'): Promise<boolean> {
    if (how === 'power-cut') await this.#untilItHurts(node);
    if (!node.isRunning) return false;
    if (how === 'crash') node.crash();
    else node.crashMachine();
    this.#fleet.world.timers.after(this.#random.between(0, longestDownMs), () => {
      if (!node.isRunning) this.#fleet.startAgent(node);
    });
    return true;
  }

  /** Half of the time waits for a write that is not synced yet, but not for ever. */
  async #untilItHurts(host: Host): Promise<void> {
    if (this.#random.chance(0.5)) return;
    const { timers } = this.#fleet.world;
    await new Promise<void>((resolve) => {
      host.machineDisk.afterNextWrite(resolve);
      timers.after(longestWaitForWriteMs, resolve);
    });
  }

  async #takeServerDown(how: 'crash' | 'power-cut'): Promise<boolean> {
    const fleet = this.#fleet;
    if (how === 'power-cut') await this.#untilItHurts(fleet.serverHost);
    if (!fleet.serverHost.isRunning) return false;
    fleet.stopServer(how);
    fleet.world.timers.after(this.#random.between(0, longestDownMs), () => {
      if (!fleet.serverHost.isRunning) fleet.startServer();
    });
    return true;
  }

  #node(): Host {
    return this.#random.pick(this.#fleet.nodes);
  }

  async #pods(): Promise<readonly ApiObject[]> {
    const { items } = await this.#fleet.operator.persist('list pods', (client) =>
      client.list(resources.pods, { namespace: deploymentNamespace }),
    );
    return items;
  }

  async #setUnschedulable(node: Host, unschedulable: boolean): Promise<void> {
    await this.#fleet.operator.persist(`cordon ${node.name}`, (client) =>
      client.mergePatch(resources.nodes, '', node.name, {
        spec: { unschedulable: unschedulable ? true : null },
      }),
    );
  }

  async #patchDeployment(
    what: string,
    patch: Parameters<Fleet['operator']['client']['mergePatch']>[3],
    subresource?: 'scale',
  ): Promise<void> {
    await this.#fleet.operator.persist(what, (client) =>
      client.mergePatch(
        resources.deployments,
        deploymentNamespace,
        deploymentName,
        patch,
        subresource,
      ),
    );
  }

  #deployment(): ApiObject {
    const labels = { app: deploymentName };
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: deploymentName, namespace: deploymentNamespace },
      spec: {
        replicas: this.declared.replicas,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: [
              {
                name: 'edge-microservice-container',
                image: `${imageName}:latest`,
                ports: [{ containerPort: 8080 }],
              },
            ],
          },
        },
      },
    };
  }
}
