/**
 * What happens to the simulated fleet: an operator who changes its mind, and a
 * world that breaks things (faults.ts). Every choice is drawn from the seed; each
 * seed draws how much of each it has, some none.
 */
import { StatusError, resources, type ApiObject } from '#platform/api/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import type { Host, SeededRandom } from '#platform/sim/mod.ts';
import { deploymentName, deploymentNamespace, guestPrefix, imageName } from './constants.ts';
import { Faults, faultWeights, type Fault, type FaultCounts } from './faults.ts';
import type { Fleet } from './fleet.ts';
import { ensureCreated } from './operator.ts';
import { RevokedNodes } from './revoked-nodes.ts';

/** How often each thing was done. */
export interface ScenarioCounts extends FaultCounts {
  scales: number;
  rollouts: number;
  podDeletions: number;
  cordons: number;
  tokenRaces: number;
  revocations: number;
}

type Operation = Exclude<keyof ScenarioCounts, Fault>;

/** What the operator wants at the end. */
export interface Declared {
  replicas: number;
  rollout: number;
}

const shortestPauseMs = 1_000;
const longestPauseMs = 20_000;
const replicasPerNodeMax = 2;

/** Relative weights, before each seed draws its own of them. */
const operationWeights: Readonly<Record<Operation, number>> = {
  scales: 5,
  rollouts: 3,
  podDeletions: 3,
  cordons: 2,
  tokenRaces: 1.5,
  revocations: 0.7,
};
const mutedShare = 0.2;
/** What is not muted comes up to so many times as often, or as seldom. */
const drawnFactorMax = 4;

/** How often each thing happens beside the others in one seed: some never, others more or less often. */
export function drawWeights(random: SeededRandom): readonly [Operation | Fault, number][] {
  const all = Object.entries({ ...operationWeights, ...faultWeights }) as [
    Operation | Fault,
    number,
  ][];
  return all.map(([name, weight]) => {
    const factor = random.chance(mutedShare) ? 0 : drawnFactorMax ** random.between(-1, 1);
    return [name, weight * factor];
  });
}

export class Scenario {
  readonly declared: Declared;
  readonly #fleet: Fleet;
  readonly #faults: Faults;
  readonly #revoked: RevokedNodes;
  readonly #random: SeededRandom;
  readonly #operationCounts: Record<Operation, number>;
  readonly #weights: readonly [Operation | Fault, number][];

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#random = fleet.world.random('operator');
    this.declared = { replicas: this.#random.below(2 * fleet.nodes.length) + 1, rollout: 0 };
    const operations = Object.keys(operationWeights) as Operation[];
    this.#operationCounts = Object.fromEntries(
      operations.map((name) => [name, 0]),
    ) as unknown as Record<Operation, number>;
    this.#faults = new Faults(fleet);
    this.#revoked = new RevokedNodes(fleet);
    this.#weights = drawWeights(this.#random).map(([name, weight]) => [
      name,
      fleet.pace.longestAbsenceMs === 0 && name === 'absences' ? 0 : weight,
    ]);
  }

  get counts(): ScenarioCounts {
    return { ...this.#operationCounts, ...this.#faults.counts };
  }

  async apply(): Promise<void> {
    await ensureCreated(this.#fleet.operator, resources.deployments, this.#deployment());
  }

  /** Declares so many replicas. */
  async scaleTo(replicas: number): Promise<void> {
    this.declared.replicas = replicas;
    await this.#patchDeployment('scale', { spec: { replicas } }, 'scale');
  }

  /** Troubles the fleet until that instant of the world. */
  async run(untilMs: number): Promise<void> {
    const { clock, timers } = this.#fleet.world;
    const { stretch } = this.#fleet.pace;
    this.#faults.begin();
    while (clock.monotonicMs() < untilMs) {
      await sleep(timers, stretch * this.#random.between(shortestPauseMs, longestPauseMs));
      await this.#happen(this.#draw());
    }
  }

  /** Ends all trouble: links are whole, processes run, nodes take pods, guests are gone. */
  async heal(): Promise<void> {
    this.#faults.heal();
    await this.#revoked.readmitAll();
    for (const node of this.#fleet.nodes) await this.#setUnschedulable(node, false);
    await this.#removeGuests();
  }

  #draw(): Operation | Fault | undefined {
    const total = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
    let left = this.#random.unit() * total;
    for (const [name, weight] of this.#weights) {
      left -= weight;
      if (left < 0) return name;
    }
    return undefined;
  }

  async #happen(name: Operation | Fault | undefined): Promise<void> {
    if (name === undefined) return;
    if (!isOperation(name)) {
      await this.#faults.inject(name);
      return;
    }
    if (await this.#operations[name]()) this.#operationCounts[name] += 1;
  }

  /** Each says whether it found something to do. */
  readonly #operations: Readonly<Record<Operation, () => Promise<boolean>>> = {
    scales: async () => {
      const { nodes } = this.#fleet;
      await this.scaleTo(this.#random.below(nodes.length * replicasPerNodeMax + 1));
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
    tokenRaces: async () => {
      await this.#fleet.checkers.raceForToken();
      return true;
    },
    revocations: async () => this.#revoked.revoke(this.#node()),
  };

  async #removeGuests(): Promise<void> {
    await this.#fleet.operator.persist('remove the guests', async (client) => {
      const { items } = await client.list(resources.nodes);
      for (const { metadata } of items) {
        const name = metadata.name ?? '';
        if (name.startsWith(guestPrefix)) await client.delete(resources.nodes, '', name);
      }
    });
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
    const spec = { unschedulable: unschedulable ? true : null };
    await this.#fleet.operator.persist(`cordon ${node.name}`, async (client) => {
      try {
        await client.mergePatch(resources.nodes, '', node.name, { spec });
      } catch (thrown) {
        // One that is about to join anew; it comes without a cordon.
        if (!(thrown instanceof StatusError) || thrown.reason !== 'NotFound') throw thrown;
      }
    });
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

function isOperation(name: Operation | Fault): name is Operation {
  return name in operationWeights;
}
