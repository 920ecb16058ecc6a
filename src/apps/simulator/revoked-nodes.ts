/**
 * Nodes whose key the operator revokes in the middle of things, as one does when a
 * machine was stolen; a while later the machine is set up anew under the same name.
 */
import { StatusError, resources } from '#platform/api/mod.ts';
import { utf8 } from '#base/mod.ts';
import type { Host, SeededRandom } from '#platform/sim/mod.ts';
import type { Fleet } from './fleet.ts';

const agentFolder = 'selvage/agent';
const awayMs = { least: 5_000, most: 60_000 };
/** A join may be refused for a clock that is wrong; then a new token is made. */
const joinsMax = 50;

export class RevokedNodes {
  readonly #fleet: Fleet;
  readonly #random: SeededRandom;
  readonly #revoked = new Set<Host>();
  #joins = 0;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#random = fleet.world.random('revocations');
    fleet.onJoinRefused = (node) => {
      this.#joins += 1;
      if (this.#joins > joinsMax) return false;
      this.#revoked.add(node);
      this.#readmitLater(node);
      return true;
    };
  }

  /** False where that node's key is revoked already, or it has not joined anew yet. */
  async revoke(node: Host): Promise<boolean> {
    const key = { resource: 'nodes', namespace: '', name: node.name };
    const hasJoined = this.#fleet.checkers.truth.get(key) !== undefined;
    if (this.#revoked.has(node) || !hasJoined) return false;
    this.#revoked.add(node);
    const body = utf8(JSON.stringify({ nodeName: node.name, reason: 'the machine was lost' }));
    const path = '/apis/selvage.dev/v1/noderevocations';
    await this.#fleet.operator.send('POST', path, 'application/json', body);
    this.#fleet.checkers.revoked.begin(node.name);
    this.#readmitLater(node);
    return true;
  }

  /** Every machine is one of the fleet again, or about to join. */
  async readmitAll(): Promise<void> {
    for (const node of Array.from(this.#revoked)) await this.#readmit(node);
  }

  #readmitLater(node: Host): void {
    const { world, pace } = this.#fleet;
    world.timers.after(pace.stretch * this.#random.between(awayMs.least, awayMs.most), () => {
      this.#readmit(node).catch((thrown: unknown) =>
        this.#fleet.fail(`setting up ${node.name} anew`, thrown),
      );
    });
  }

  /** The machine is switched off and emptied, its Node removed; it joins with a new token. */
  async #readmit(node: Host): Promise<void> {
    if (!this.#revoked.delete(node)) return;
    const { operator, checkers } = this.#fleet;
    node.crashMachine();
    node.machineDisk.tree.remove(agentFolder);
    checkers.machineEmptied(node);
    await operator.persist(`remove the node ${node.name}`, async (client) => {
      try {
        await client.delete(resources.nodes, '', node.name);
      } catch (thrown) {
        if (!(thrown instanceof StatusError) || thrown.reason !== 'NotFound') throw thrown;
      }
    });
    const token = await operator.joinToken(this.#fleet.siteOf(node));
    this.#fleet.grantTo(node, token);
    checkers.revoked.end(node.name);
    if (node.isRunning) node.crash();
    this.#fleet.startAgent(node);
  }
}
