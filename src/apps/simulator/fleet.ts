/**
 * One server and its nodes in a world, with the processes of both started,
 * crashed and started again as the scenario says.
 */
import { errorText } from '#base/mod.ts';
import { resources } from '#platform/api/mod.ts';
import type { Host, World } from '#platform/sim/mod.ts';
import { startAgentOn, type JoinGrant } from './agent-host.ts';
import { operatorHostName, places, serverHostName } from './constants.ts';
import { SimulationFailure } from './errors.ts';
import { pushExampleImage } from './example-image.ts';
import { createOperator, ensureCreated, type Operator } from './operator.ts';
import { startServerOn, type RunningServer } from './server-host.ts';
import { serviceWorkload, shimProgram } from './shim-program.ts';

const startLimitMs = 60_000;

export class Fleet {
  readonly world: World;
  readonly serverHost: Host;
  readonly operatorHost: Host;
  readonly nodes: readonly Host[];
  readonly #grants = new Map<string, JoinGrant>();
  #server: RunningServer | undefined;
  #operator: Operator | undefined;
  #failure: SimulationFailure | undefined;

  constructor(world: World, nodeCount: number) {
    this.world = world;
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

  /** What went wrong in a process that should have gone on. */
  get processFailure(): SimulationFailure | undefined {
    return this.#failure;
  }

  failure(code: SimulationFailure['code'], why: string, cause?: unknown): SimulationFailure {
    return new SimulationFailure(code, `seed ${this.world.seed}: ${why}`, { cause });
  }

  /** Starts the server for the first time, makes regions and sites, has every node join. */
  async found(): Promise<void> {
    this.startServer();
    await this.untilTrue('the server starts', () => this.#server !== undefined);
    const server = this.#server;
    if (server === undefined) throw this.failure('SIM_NOT_READY', 'the server is gone again');
    const { caPem } = server.authority;
    this.#operator = createOperator(this.operatorHost, server.admin, caPem);
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
    startServerOn(this.serverHost).then(
      (server) => {
        this.#server = server;
      },
      (thrown: unknown) => this.#processFailed(serverHostName, thrown),
    );
  }

  stopServer(how: 'crash' | 'power-cut'): void {
    this.#server = undefined;
    if (how === 'crash') this.serverHost.crash();
    else this.serverHost.crashMachine();
  }

  startAgent(node: Host): void {
    const grant = this.#grants.get(node.name);
    if (grant === undefined) throw this.failure('SIM_NOT_READY', `${node.name} has no token`);
    if (!node.isRunning) node.boot();
    startAgentOn(node, grant).catch((thrown: unknown) => this.#processFailed(node.name, thrown));
  }

  /** Waits in virtual time; fails where it takes too long or a process has failed. */
  async untilTrue(what: string, holds: () => boolean, limitMs = startLimitMs): Promise<void> {
    const { timers, clock } = this.world;
    const deadlineMs = clock.monotonicMs() + limitMs;
    while (!holds()) {
      if (this.#failure !== undefined) throw this.#failure;
      if (clock.monotonicMs() > deadlineMs) {
        throw this.failure('SIM_NOT_READY', `within ${limitMs} ms: ${what}`);
      }
      await new Promise<void>((resolve) => {
        timers.after(50, resolve);
      });
    }
  }

  #processFailed(name: string, thrown: unknown): void {
    const why = `the process on ${name} failed: ${errorText(thrown)}`;
    this.#failure ??= this.failure('SIM_PROCESS_FAILED', why, thrown);
  }
}

function placeOf(index: number): (typeof places)[number] {
  return places[index % places.length] ?? places[0];
}

function nodeName(index: number): string {
  return `${placeOf(index).site}-${Math.floor(index / places.length) + 1}`;
}
