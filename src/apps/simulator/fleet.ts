/**
 * One server and its nodes in a world, with the processes of both started,
 * crashed and started again as the scenario says.
 */
import { armSabotage, errorText, SelvageError } from '#base/mod.ts';
import { resources } from '#platform/api/mod.ts';
import type { Host, World } from '#platform/sim/mod.ts';
import { startAgentOn, type JoinGrant } from './agent-host.ts';
import { Checkers } from './checkers.ts';
import { operatorHostName, places, serverHostName } from './constants.ts';
import { SimulationFailure, type FailureDetails } from './errors.ts';
import { pushExampleImage } from './example-image.ts';
import { createOperator, ensureCreated, type Operator } from './operator.ts';
import type { Invariant } from './invariants/invariants.ts';
import { invariants, invariantText } from './invariants/invariants.ts';
import { paces, type Pace } from './pace.ts';
import type { Sabotage } from './sabotages.ts';
import { hasWord } from './truth.ts';
import { startServerOn, type RunningServer } from './server-host.ts';
import { serviceWorkload, shimProgram } from './shim-program.ts';

const startLimitMs = 60_000;
const startAgainAfterMs = 1_000;
/** What a failed sync and a full disk look like to a process that starts. */
const diskFailureCodes: readonly string[] = [
  'DISK_IO',
  'DISK_NO_SPACE',
  'LOG_FULL',
  'LOG_LATCHED',
  'STORE_FULL',
  'STORE_LATCHED',
];

export class Fleet {
  readonly world: World;
  readonly serverHost: Host;
  readonly operatorHost: Host;
  readonly nodes: readonly Host[];
  readonly checkers: Checkers;
  readonly pace: Pace;
  /** Asked where a machine's join is refused; true where somebody sees to it. */
  onJoinRefused: ((node: Host) => boolean) | undefined;
  readonly #sabotage: Partial<Sabotage>;
  readonly #failed: Promise<never>;
  #reject: (failure: SimulationFailure) => void = () => {};
  #trustPem = '';
  readonly #grants = new Map<string, JoinGrant>();
  #server: RunningServer | undefined;
  #operator: Operator | undefined;
  #failure: SimulationFailure | undefined;
  /** How often an agent could keep nothing more and ended itself. */
  agentsEndedByDisk = 0;

  constructor(
    world: World,
    nodeCount: number,
    sabotage: Partial<Sabotage> = {},
    pace: Pace = paces.short,
  ) {
    this.world = world;
    this.pace = pace;
    this.#sabotage = sabotage;
    armSabotage(sabotage.isRestored === true ? undefined : sabotage.hook);
    this.#failed = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.#failed.catch(() => {});
    this.checkers = new Checkers(world, sabotage, pace, (invariant, why) =>
      this.violated(invariant, why),
    );
    world.programs.unshift(shimProgram(() => serviceWorkload));
    this.serverHost = world.host(serverHostName);
    this.operatorHost = world.host(operatorHostName);
    this.nodes = Array.from({ length: nodeCount }, (_, index) => world.host(nodeName(index)));
  }

  /** Undefined while the server is down or starting. */
  get server(): RunningServer | undefined {
    return this.#server;
  }

  get operator(): Operator {
    if (this.#operator === undefined) throw this.failure('SIM_NOT_READY', 'there is no operator');
    return this.#operator;
  }

  get trustPem(): string {
    return this.#trustPem;
  }

  /** Rejects with the first failure; never resolves. */
  get failed(): Promise<never> {
    return this.#failed;
  }

  /** What went wrong in a process that should have gone on. */
  get processFailure(): SimulationFailure | undefined {
    return this.#failure;
  }

  failure(
    code: SimulationFailure['code'],
    why: string,
    details: FailureDetails = {},
  ): SimulationFailure {
    return new SimulationFailure(code, `seed ${this.world.seed}: ${why}`, details);
  }

  /** Something of the simulation itself did not do what it is for. */
  fail(what: string, thrown: unknown): void {
    const why = `${what} failed: ${errorText(thrown)}`;
    this.#end(this.failure('SIM_PROCESS_FAILED', why, { cause: thrown }));
  }

  /** Starts the server for the first time, makes regions and sites, has every node join. */
  async found(): Promise<void> {
    this.startServer();
    await this.untilTrue('the server starts', () => this.#server !== undefined);
    const server = this.#server;
    if (server === undefined) throw this.failure('SIM_NOT_READY', 'the server is gone again');
    const { caPem } = server.authority;
    this.#trustPem = caPem;
    this.#operator = createOperator(this.operatorHost, server.admin, caPem, this.pace);
    await pushExampleImage(this.operator);
    for (const region of new Set(places.map((place) => place.region))) {
      await ensureCreated(this.operator, resources.regions, {
        apiVersion: 'selvage.dev/v1',
        kind: 'Region',
        metadata: { name: region },
        spec: {},
      });
    }
    for (const { site, region } of places) {
      await ensureCreated(this.operator, resources.sites, {
        apiVersion: 'selvage.dev/v1',
        kind: 'Site',
        metadata: { name: site },
        spec: { region },
      });
    }
    for (const [index, node] of this.nodes.entries()) {
      const { site } = placeOf(index);
      const token = await this.operator.joinToken(site);
      this.#grants.set(node.name, { caPem, token });
      this.startAgent(node);
    }
  }

  /** Boots the machine's process if it is down, and starts the server in it. */
  startServer(): void {
    if (!this.serverHost.isRunning) this.serverHost.boot();
    startServerOn(this.serverHost, this.checkers, this.#sabotage, this.pace).then(
      (server) => {
        this.#server = server;
      },
      (thrown: unknown) => this.processFailed(serverHostName, thrown),
    );
  }

  stopServer(how: 'crash' | 'power-cut'): void {
    this.#server = undefined;
    if (how === 'crash') this.serverHost.crash();
    else this.serverHost.crashMachine();
  }

  /** From now on the server that runs is one that another has replaced, or not any more. */
  serverIsSuperseded(isSo: boolean): void {
    this.checkers.isServerSuperseded = isSo;
    // Before that nobody has replaced anybody, and the bug would only spoil the scene.
    if (this.#sabotage.isRestored === true) armSabotage(isSo ? this.#sabotage.hook : undefined);
  }

  /** Hands a machine that is to join anew what it needs for that. */
  grantTo(node: Host, token: string): void {
    this.#grants.set(node.name, { caPem: this.#trustPem, token });
  }

  /** The site of a machine, as it was founded. */
  siteOf(node: Host): string {
    return placeOf(this.nodes.indexOf(node)).site;
  }

  startAgent(node: Host): void {
    const grant = this.#grants.get(node.name);
    if (grant === undefined) throw this.failure('SIM_NOT_READY', `${node.name} has no token`);
    if (!node.isRunning) node.boot();
    const onDiskFailed = (): void => {
      this.agentsEndedByDisk += 1;
      this.#startAgain(node);
    };
    startAgentOn(node, grant, this.checkers, this.#sabotage, this.pace, onDiskFailed).catch(
      (thrown: unknown) => {
        const isRefused = thrown instanceof SelvageError && thrown.code === 'IDENTITY_JOIN_REFUSED';
        if (isRefused && this.onJoinRefused?.(node) === true) return;
        this.processFailed(node.name, thrown);
      },
    );
  }

  /** Waits in virtual time; fails where it takes too long or a process has failed. */
  async untilTrue(what: string, holds: () => boolean, limitMs = startLimitMs): Promise<void> {
    const { timers, clock } = this.world;
    const deadlineMs = clock.monotonicMs() + limitMs;
    while (!holds()) {
      if (clock.monotonicMs() > deadlineMs) {
        throw this.failure('SIM_NOT_READY', `within ${limitMs} ms: ${what}`);
      }
      await new Promise<void>((resolve) => {
        timers.after(50, resolve);
      });
    }
  }

  /** A process that should have gone on did not; damage to a log is a promise that was broken. */
  processFailed(name: string, thrown: unknown): void {
    const why = `the process on ${name} failed: ${errorText(thrown)}`;
    const code = thrown instanceof SelvageError ? thrown.code : '';
    if (diskFailureCodes.includes(code)) {
      this.#startAgain(this.world.host(name));
      return;
    }
    if (code === 'LOG_DAMAGED') {
      this.violated(invariants.acknowledgedSurvives, why);
    } else {
      this.#end(this.failure('SIM_PROCESS_FAILED', why, { cause: thrown, about: [name] }));
    }
  }

  /** Ends the simulation: an invariant does not hold. */
  violated(invariant: Invariant, why: string): void {
    const atMs = this.world.clock.monotonicMs().toFixed(0);
    const about = [
      ...this.nodes.map(({ name }) => name).filter((name) => hasWord(why, name)),
      ...this.checkers.truth.namesIn(why),
    ];
    const text = `${invariantText(invariant)} violated at ${atMs} ms: ${why}`;
    this.#end(this.failure('SIM_INVARIANT', text, { about }));
  }

  /** A process that cannot go on for its disk ends, and whoever looks after it tries again. */
  #startAgain(host: Host): void {
    if (host.isRunning) host.crash();
    this.world.timers.after(startAgainAfterMs, () => {
      if (host.isRunning) return;
      if (host === this.serverHost) this.startServer();
      else this.startAgent(host);
    });
  }

  #end(failure: SimulationFailure): void {
    this.#failure ??= failure;
    this.#reject(this.#failure);
  }
}

function placeOf(index: number): (typeof places)[number] {
  return places[index % places.length] ?? places[0];
}

function nodeName(index: number): string {
  return `${placeOf(index).site}-${Math.floor(index / places.length) + 1}`;
}
