/**
 * A server that is replaced: restored from a backup that is older than what nodes have
 * seen, imposed by the operator as the one that counts; and then the one that it
 * replaced comes back at the same address, with all that it knew, and wants to go on.
 */
import { resources } from '#platform/api/mod.ts';
import { utf8 } from '#base/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { requireConvergence } from './checks.ts';
import { deploymentName, deploymentNamespace } from './constants.ts';
import type { Fleet } from './fleet.ts';
import type { Scenario } from './scenario.ts';
import { filesOf, powerOff, replaceFiles, switchOn } from './server-disk.ts';

const aheadMs = { least: 5_000, most: 60_000 };
const supersededMs = { least: 20_000, most: 120_000 };
const restartMsMax = 5_000;
const lossRateMax = 0.02;

/** Throws what does not hold. The fleet is founded and at rest, and is so at the end. */
export async function supersede(fleet: Fleet, scenario: Scenario): Promise<void> {
  const { world, serverHost, checkers } = fleet;
  const { timers } = world;
  const random = world.random('supersession');
  const atFirst = scenario.declared.replicas;
  await powerOff(fleet);
  const backup = filesOf(serverHost);
  await switchOn(fleet);
  world.faults.weather.lossRate = random.chance(0.5) ? random.between(0, lossRateMax) : 0;

  // What the backup does not have: more pods, on the same nodes.
  await scenario.scaleTo(atFirst + 1 + random.below(fleet.nodes.length));
  await sleep(timers, random.between(aheadMs.least, aheadMs.most));
  await powerOff(fleet);
  const superseded = filesOf(serverHost);

  replaceFiles(serverHost, backup);
  checkers.serverReplaced();
  await switchOn(fleet);
  await impose(fleet);
  scenario.declared.replicas = atFirst;
  await requireConvergence(fleet, scenario.declared);
  await scenario.scaleTo(random.below(2 * fleet.nodes.length) + 1);
  await requireConvergence(fleet, scenario.declared);

  await powerOff(fleet);
  const counting = filesOf(serverHost);
  replaceFiles(serverHost, superseded);
  fleet.serverIsSuperseded(true);
  await switchOn(fleet);
  for (const node of fleet.nodes) {
    if (!random.chance(0.5)) continue;
    timers.after(random.between(0, restartMsMax), () => {
      node.crash();
      fleet.startAgent(node);
    });
  }
  await commandInVain(fleet);
  await sleep(timers, random.between(supersededMs.least, supersededMs.most));

  await powerOff(fleet);
  fleet.serverIsSuperseded(false);
  replaceFiles(serverHost, counting);
  world.faults.weather.lossRate = 0;
  await switchOn(fleet);
}

/** As an operator does, once the server has said that nodes know another history. */
async function impose({ operator }: Fleet): Promise<void> {
  const body = utf8(JSON.stringify({ choice: 'impose' }));
  await operator.send('POST', '/apis/selvage.dev/v1/incarnations', 'application/json', body);
}

/** The superseded server is told to have nothing run any more; whether it takes that is its affair. */
async function commandInVain({ operator }: Fleet): Promise<void> {
  const { deployments } = resources;
  const patch = { spec: { replicas: 0 } };
  try {
    await operator.client.mergePatch(deployments, deploymentNamespace, deploymentName, patch);
  } catch {
    // It has noticed that it does not count any more.
  }
}
