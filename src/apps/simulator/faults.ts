/**
 * What a world does to a fleet: processes that crash and freeze, machines without
 * power, links that break one way or both, messages that are late or whose answer
 * is lost, disks that fill up, slow down and fail to sync, clocks that drift and
 * jump. Each is drawn from the seed, some not at all; `heal` ends all of it.
 */
import type { Host, SeededRandom } from '#platform/sim/mod.ts';
import { serverHostName } from './constants.ts';
import type { Fleet } from './fleet.ts';
import { waitAtMost } from './wait.ts';

/** How often each fault was injected by the scenario. */
export interface FaultCounts {
  agentCrashes: number;
  nodePowerCuts: number;
  serverCrashes: number;
  serverPowerCuts: number;
  workloadKills: number;
  cutsBothWays: number;
  cutsOneWay: number;
  resets: number;
  silences: number;
  agentFreezes: number;
  serverFreezes: number;
  clockJumps: number;
  clockDrifts: number;
  diskFills: number;
  failingSyncs: number;
  slowDisks: number;
  copiesLost: number;
  absences: number;
}

export type Fault = keyof FaultCounts;

/** Relative weights, before each seed draws its own of them. */
export const faultWeights: Readonly<Record<Fault, number>> = {
  agentCrashes: 3,
  nodePowerCuts: 1.5,
  serverCrashes: 1,
  serverPowerCuts: 1.5,
  workloadKills: 3,
  cutsBothWays: 2,
  cutsOneWay: 2,
  resets: 2,
  silences: 2,
  agentFreezes: 2,
  serverFreezes: 1,
  clockJumps: 2,
  clockDrifts: 1,
  diskFills: 1.5,
  failingSyncs: 3,
  slowDisks: 1,
  copiesLost: 3,
  absences: 1,
};

const longestCutMs = 60_000;
const longestDownMs = 20_000;
const longestWaitForWriteMs = 10_000;
const longestFreezeMs = 20_000;
const longestWrongMs = 60_000;
const longestFullMs = 30_000;
const longestSlowMs = 30_000;
const slowestDiskMs = 40;
const driftMax = 0.02;
const roomLeftBytesMax = 512;
const quickReturnMsMax = 2_000;
/** Long enough for an agent to go on without its hub. */
const shortestLonelyMs = 15_000;
const shortestAbsenceShare = 0.3;
/** Of long lives that begin with a node away, until shortly before their end. */
const awayAtFirstShare = 0.6;
/** A process whose disk failed is started again by whoever looks after it. */
const watchdogMs = { least: 500, most: 15_000 };
const copyFolder = 'selvage/agent/replica';

export class Faults {
  readonly counts: FaultCounts;
  readonly #fleet: Fleet;
  readonly #random: SeededRandom;
  readonly #diskCapacityBytes: number;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#random = fleet.world.random('faults');
    this.#diskCapacityBytes = fleet.serverHost.faults.capacityBytes;
    this.counts = Object.fromEntries(
      Object.keys(faultWeights).map((name) => [name, 0]),
    ) as unknown as FaultCounts;
  }

  /** The weather of this seed: half of the kinds of it, each with a rate of its own. */
  begin(): void {
    const { weather } = this.#fleet.world.faults;
    const draw = (most: number): number =>
      this.#random.chance(0.5) ? this.#random.between(0, most) : 0;
    weather.lossRate = draw(0.04);
    weather.delayRate = draw(0.02);
    weather.lostAnswerRate = draw(0.004);
    const { longestAbsenceMs } = this.#fleet.pace;
    if (longestAbsenceMs > 0 && this.#random.chance(awayAtFirstShare)) {
      this.#leave(this.#node(), longestAbsenceMs * this.#random.between(0.85, 0.95));
      this.counts.absences += 1;
    }
  }

  /** False where there was nothing to do. */
  async inject(name: Fault): Promise<boolean> {
    const done = await this.#actions[name]();
    if (done) this.counts[name] += 1;
    return done;
  }

  heal(): void {
    const { world, nodes, serverHost } = this.#fleet;
    const { weather } = world.faults;
    weather.lossRate = 0;
    weather.delayRate = 0;
    weather.lostAnswerRate = 0;
    world.faults.heal();
    this.#absent.clear();
    this.#isOver = true;
    for (const host of [serverHost, ...nodes]) {
      host.thaw();
      host.setClockRate(1);
      host.setWallOffset(0);
      host.faults.capacityBytes = this.#diskCapacityBytes;
      host.faults.extraLatencyMs = 0;
      host.faults.failSyncs = 0;
      if (host.machineDisk.counts.failedSyncs > this.#failedSyncsOf(host)) this.#restart(host);
    }
    if (!serverHost.isRunning) this.#fleet.startServer();
    for (const node of nodes) if (!node.isRunning) this.#fleet.startAgent(node);
  }

  readonly #actions: Readonly<Record<Fault, () => Promise<boolean>>> = {
    agentCrashes: () => this.#takeDown(this.#node(), 'crash'),
    nodePowerCuts: () => this.#takeDown(this.#node(), 'power-cut'),
    serverCrashes: () => this.#takeDown(this.#fleet.serverHost, 'crash'),
    serverPowerCuts: () => this.#takeDown(this.#fleet.serverHost, 'power-cut'),
    workloadKills: async () => this.#killWorkload(this.#node()),
    cutsBothWays: async () => this.#cut('both'),
    cutsOneWay: async () => this.#cut('one-way'),
    resets: async () =>
      this.#fleet.world.faults.resetConnections(this.#node().name, serverHostName) > 0,
    silences: async () =>
      this.#fleet.world.faults.silenceConnections(this.#node().name, serverHostName) > 0,
    agentFreezes: async () => this.#freeze(this.#node()),
    serverFreezes: async () => this.#freeze(this.#fleet.serverHost),
    clockJumps: async () => {
      const host = this.#anyHost();
      const { longestJumpMs } = this.#fleet.pace;
      host.setWallOffset(Math.round(this.#random.between(-longestJumpMs, longestJumpMs)));
      // And back: a server with a wrong date believes no certificate that was made after it.
      this.#later(longestWrongMs, () => host.setWallOffset(0));
      return true;
    },
    clockDrifts: async () => {
      this.#anyHost().setClockRate(1 + this.#random.between(-driftMax, driftMax));
      return true;
    },
    diskFills: async () => this.#fill(this.#anyHost()),
    failingSyncs: async () =>
      this.#failNextSync(this.#random.chance(0.6) ? this.#fleet.serverHost : this.#node()),
    slowDisks: async () => {
      const { faults } = this.#anyHost();
      faults.extraLatencyMs = this.#random.between(1, slowestDiskMs);
      this.#later(longestSlowMs, () => {
        faults.extraLatencyMs = 0;
      });
      return true;
    },
    copiesLost: async () => this.#loseCopy(),
    absences: async () => {
      const { longestAbsenceMs } = this.#fleet.pace;
      if (longestAbsenceMs === 0) return false;
      const share = this.#random.between(shortestAbsenceShare, 1);
      return this.#leave(this.#node(), longestAbsenceMs * share);
    },
  };

  /** What was to come later does not come any more. */
  #isOver = false;

  /** Nodes that are away for long: nothing else brings them back before. */
  readonly #absent = new Set<string>();

  /** Cut off, or without power, and back when the time is over. */
  #leave(node: Host, absenceMs: number): boolean {
    if (this.#absent.has(node.name)) return false;
    const { world } = this.#fleet;
    this.#absent.add(node.name);
    world.faults.partition(node.name, serverHostName, 'both');
    if (this.#random.chance(0.5) && node.isRunning) node.crashMachine();
    world.timers.after(absenceMs, () => {
      if (!this.#absent.delete(node.name)) return;
      world.faults.heal(node.name, serverHostName);
      this.#start(node);
    });
    return true;
  }

  #freeze(host: Host): boolean {
    return host.freeze(this.#fleet.pace.stretch * this.#random.between(500, longestFreezeMs));
  }

  /** Takes a process or its machine down, and has it started again after a while. */
  async #takeDown(host: Host, how: 'crash' | 'power-cut'): Promise<boolean> {
    if (how === 'power-cut') await this.#untilItHurts(host);
    if (!host.isRunning || this.#isOver) return false;
    if (host === this.#fleet.serverHost) this.#fleet.stopServer(how);
    else if (how === 'crash') host.crash();
    else host.crashMachine();
    // Sometimes back before anybody has missed it.
    const longestMs = this.#random.chance(0.3) ? quickReturnMsMax : longestDownMs;
    this.#later(longestMs, () => this.#start(host));
    return true;
  }

  #start(host: Host): void {
    if (host.isRunning) return;
    if (host === this.#fleet.serverHost) this.#fleet.startServer();
    else this.#fleet.startAgent(host);
  }

  #restart(host: Host): void {
    this.#handledFailures.set(host.name, host.machineDisk.counts.failedSyncs);
    if (!host.isRunning) return;
    if (host === this.#fleet.serverHost) this.#fleet.stopServer('crash');
    else host.crash();
    this.#start(host);
  }

  /** Failed syncs after which the process has been started again. */
  readonly #handledFailures = new Map<string, number>();

  #failedSyncsOf(host: Host): number {
    return this.#handledFailures.get(host.name) ?? 0;
  }

  /** Half of the time waits for a write that is not synced yet, but not for ever. */
  async #untilItHurts(host: Host): Promise<void> {
    if (this.#random.chance(0.5)) return;
    const longestMs = longestWaitForWriteMs * this.#fleet.pace.stretch;
    await waitAtMost(this.#fleet.world.timers, longestMs, (resolve) =>
      host.machineDisk.afterNextWrite(resolve),
    );
  }

  #killWorkload(node: Host): boolean {
    const workloads = node.processes.list().filter((entry) => entry.command === 'node');
    if (workloads.length === 0) return false;
    return node.processes.kill(this.#random.pick(workloads).pid);
  }

  #cut(mode: 'both' | 'one-way'): boolean {
    const { faults } = this.#fleet.world;
    const { name } = this.#node();
    const [from, to] = this.#random.chance(0.5) ? [name, serverHostName] : [serverHostName, name];
    faults.partition(from, to, mode);
    this.#later(longestCutMs, () => {
      if (!this.#absent.has(name)) faults.heal(from, to);
    });
    return true;
  }

  /** Leaves a little room, breaks something that must be written about, and makes room later. */
  #fill(host: Host): boolean {
    const usedBytes = host.machineDisk.tree.usedBytes();
    host.faults.capacityBytes = usedBytes + this.#random.below(roomLeftBytesMax);
    this.#later(longestFullMs, () => {
      host.faults.capacityBytes = this.#diskCapacityBytes;
    });
    if (host !== this.#fleet.serverHost) this.#killWorkload(host);
    return true;
  }

  /** The process is started again when the failure has struck; sometimes the power goes first. */
  #failNextSync(host: Host): boolean {
    host.faults.failSyncs = 1;
    const before = host.machineDisk.counts.failedSyncs;
    const losesPower = this.#random.chance(0.7);
    const waitMs = this.#random.between(watchdogMs.least, watchdogMs.most);
    const { timers } = this.#fleet.world;
    const look = (): void => {
      if (this.#isOver) return;
      if (host.faults.failSyncs === 0 && host.machineDisk.counts.failedSyncs === before) return;
      if (host.machineDisk.counts.failedSyncs === before) {
        timers.after(1_000, look);
        return;
      }
      timers.after(waitMs, () => {
        if (this.#isOver) return;
        if (!losesPower) {
          this.#restart(host);
          return;
        }
        const { failedSyncs } = host.machineDisk.counts;
        void this.#takeDown(host, 'power-cut').then((isDown) => {
          if (isDown) this.#handledFailures.set(host.name, failedSyncs);
        });
      });
    };
    look();
    return true;
  }

  /** A node with pods loses its copy of its slice while its agent is down, and is often cut off. */
  #loseCopy(): boolean {
    const busy = this.#fleet.nodes.filter((one) => one.isRunning && one.processes.size > 0);
    if (busy.length === 0) return false;
    const node = this.#random.pick(busy);
    node.crash();
    node.machineDisk.tree.remove(copyFolder);
    this.#fleet.checkers.copyLost(node);
    if (this.#random.chance(0.7)) {
      const { world, pace } = this.#fleet;
      world.faults.partition(node.name, serverHostName, 'both');
      const lonelyMs = this.#random.between(shortestLonelyMs, longestCutMs) * pace.stretch;
      world.timers.after(lonelyMs, () => {
        if (!this.#absent.has(node.name)) world.faults.heal(node.name, serverHostName);
      });
    }
    this.#later(quickReturnMsMax, () => this.#start(node));
    return true;
  }

  #later(longestMs: number, run: () => void): void {
    const { world, pace } = this.#fleet;
    world.timers.after(pace.stretch * this.#random.between(100, longestMs), () => {
      if (!this.#isOver) run();
    });
  }

  #node(): Host {
    return this.#random.pick(this.#fleet.nodes);
  }

  #anyHost(): Host {
    return this.#random.chance(0.4) ? this.#fleet.serverHost : this.#node();
  }
}
