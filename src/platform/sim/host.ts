/**
 * One machine of the world, with the one process of ours that runs on it. The
 * process may crash and boot again over the same disk; the machine may lose power,
 * which takes its other processes and its unsynced writes along.
 *
 * Invariant: ports handed out before a crash are dead. What they are asked does
 * nothing, what they promised never settles, their timers never fire.
 */
import { errorText } from '#base/mod.ts';
import type {
  Clock,
  Datagrams,
  Disk,
  HttpClient,
  HttpServer,
  Keys,
  Logger,
  LogLevel,
  Net,
  PlainNet,
  Random,
  Spawn,
  Timers,
} from '#platform/io/mod.ts';
import { SimulationError } from './errors.ts';
import type { Kernel, Lifetime } from './kernel.ts';
import { seededRandom } from './seeded-random.ts';
import {
  clockFaceAt,
  setClockRate,
  setWallOffset,
  simClock,
  simTimers,
  wallAheadMs,
  type ClockFace,
} from './sim-clock.ts';
import { MachineDisk } from './sim-disk.ts';
import { simHttpClient, simHttpServer } from './sim-http.ts';
import { simKeys, type KeyRing } from './sim-keys.ts';
import { LocalNet } from './sim-local-net.ts';
import type { NetMachine, Network } from './sim-net.ts';
import { ProcessTable, type SimPrograms } from './sim-spawn.ts';

/** The ports of one process, as a composition root would build them. */
export interface HostPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly net: Net;
  /** Within the machine. */
  readonly plainNet: PlainNet;
  readonly datagrams: Datagrams;
  readonly httpServer: HttpServer;
  readonly httpClient: HttpClient;
  readonly spawn: Spawn;
  readonly keys: Keys;
  readonly logger: Logger;
}

export interface WorldLogLine {
  readonly atMs: number;
  readonly host: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface MutableLifetime extends Lifetime {
  alive: boolean;
  frozenUntilMs: number;
}

interface HostOptions {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly keyRing: KeyRing;
  readonly programs: SimPrograms;
  readonly name: string;
  /** Counts from 1; gives the machine its address. */
  readonly number: number;
  readonly onLog: ((line: WorldLogLine) => void) | undefined;
}

/** Our process on a machine has a fixed pid: it is named by its incarnation. */
const ownPid = 1;

export class Host implements NetMachine {
  readonly name: string;
  readonly address: string;
  readonly machineDisk: MachineDisk;
  readonly processes: ProcessTable;
  readonly #localNet: LocalNet;
  /** The wall clock may be set wrong here. */
  readonly clockFace: ClockFace;
  readonly #options: HostOptions;
  readonly #kernel: Kernel;
  readonly #clock: Clock;
  #machine: MutableLifetime;
  #process: MutableLifetime | undefined;
  #ports: HostPorts | undefined;
  #machineBoots = 0;
  #incarnation = 0;

  constructor(options: HostOptions) {
    const { kernel, network, name, number } = options;
    this.#options = options;
    this.#kernel = kernel;
    this.name = name;
    this.address = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
    this.#localNet = new LocalNet(kernel, this.address);
    this.clockFace = clockFaceAt(kernel.nowMs);
    this.#clock = simClock(kernel, this.clockFace);
    this.#machine = { name, alive: true, frozenUntilMs: 0 };
    const seed = kernel.seed;
    const machine = (): Lifetime => this.#machine;
    this.machineDisk = new MachineDisk(kernel, seededRandom(seed, `disk ${name}`), machine);
    this.processes = new ProcessTable(kernel, options.programs, {
      machineName: name,
      clock: this.#clock,
      random: seededRandom(seed, `spawn ${name}`),
      timersFor: (process) => simTimers(kernel, process, this.clockFace),
      diskFor: (process) => this.machineDisk.portFor(process),
    });
    network.addMachine(this);
    this.boot();
  }

  /** The ports of the process that runs now. */
  get ports(): HostPorts {
    if (this.#ports === undefined) {
      throw new SimulationError('SIM_MISUSE', `nothing runs on ${this.name}`);
    }
    return this.#ports;
  }

  get isRunning(): boolean {
    return this.#ports !== undefined;
  }

  get faults(): MachineDisk['faults'] {
    return this.machineDisk.faults;
  }

  machineLifetime(): Lifetime {
    return this.#machine;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  /** Starts a process, after a crash: new ports over the disk as it is. */
  boot(): HostPorts {
    if (this.#ports !== undefined) {
      throw new SimulationError('SIM_MISUSE', `${this.name} is running`);
    }
    if (!this.#machine.alive) {
      this.#machineBoots += 1;
      this.#machine = { name: this.name, alive: true, frozenUntilMs: 0 };
      // The same oscillator and the same wrong date, and clocks that begin anew.
      const { nowMs } = this.#kernel;
      const { rate } = this.clockFace;
      const wallOffsetMs = wallAheadMs(nowMs, this.clockFace);
      Object.assign(this.clockFace, clockFaceAt(nowMs), { rate, wallOffsetMs });
    }
    this.#incarnation += 1;
    this.#kernel.note(this.name, 'boot', `${this.#machineBoots} ${this.#incarnation}`);
    const process: MutableLifetime = { name: this.name, alive: true, frozenUntilMs: 0 };
    this.#process = process;
    this.#ports = this.#portsOf(process);
    return this.#ports;
  }

  /** The process dies as by `kill -9`; the machine and its other processes go on. */
  crash(): void {
    this.#kernel.note(this.name, 'crash', '');
    this.#endProcess(true);
  }

  /** The machine loses power: its processes die, unsynced writes are lost or torn. */
  crashMachine(): void {
    this.#kernel.note(this.name, 'power-off', '');
    this.#machine.alive = false;
    this.#endProcess(false);
    this.processes.clear();
    this.machineDisk.cutPower();
  }

  /** Our process does nothing for so long, as one that is stopped or starved. False when none runs. */
  freeze(durationMs: number): boolean {
    if (this.#process === undefined) return false;
    this.#kernel.note(this.name, 'freeze', `${durationMs}`);
    this.#process.frozenUntilMs = this.#kernel.nowMs + durationMs;
    return true;
  }

  thaw(): void {
    if (this.#process !== undefined) this.#process.frozenUntilMs = 0;
  }

  /** All clocks of the machine run that fast from now on; 1 is right. */
  setClockRate(rate: number): void {
    this.#kernel.note(this.name, 'clock-rate', `${rate}`);
    setClockRate(this.#kernel.nowMs, this.clockFace, rate);
  }

  /** Sets the wall clock wrong by so much; 0 is right. */
  setWallOffset(offsetMs: number): void {
    this.#kernel.note(this.name, 'clock-jump', `${offsetMs}`);
    setWallOffset(this.#kernel.nowMs, this.clockFace, offsetMs);
  }

  #endProcess(isMachineUp: boolean): void {
    const process = this.#process;
    if (process === undefined) return;
    process.alive = false;
    this.#process = undefined;
    this.#ports = undefined;
    this.#options.network.processDied(process, isMachineUp);
    this.#localNet.processDied(process);
  }

  #portsOf(process: Lifetime): HostPorts {
    const { network, keyRing } = this.#options;
    const stream = `${this.name} ${this.#incarnation}`;
    const seed = this.#kernel.seed;
    return {
      clock: this.#clock,
      timers: simTimers(this.#kernel, process, this.clockFace),
      random: seededRandom(seed, `process ${stream}`),
      disk: this.machineDisk.portFor(process),
      net: network.portFor(this, process),
      plainNet: this.#localNet.plainNetFor(process),
      datagrams: this.#localNet.datagramsFor(process),
      httpServer: simHttpServer(network, this, process),
      httpClient: simHttpClient(this.#kernel, network, this, process),
      spawn: this.processes.portFor(process, ownPid),
      keys: simKeys(keyRing, seededRandom(seed, `keys ${stream}`), () => process.alive),
      logger: this.#logger(process, {}),
    };
  }

  #logger(process: Lifetime, base: Readonly<Record<string, unknown>>): Logger {
    return {
      log: (level, message, fields = {}) => {
        if (!process.alive) return;
        this.#kernel.note(this.name, `log.${level}`, message);
        const { onLog } = this.#options;
        if (onLog === undefined) return;
        const all = Object.entries({ ...base, ...fields }).map(([name, value]) => [
          name,
          value instanceof Error ? errorText(value) : value,
        ]);
        const line = { atMs: this.#kernel.nowMs, host: this.name, level, message };
        onLog({ ...line, fields: Object.fromEntries(all) });
      },
      with: (fields) => this.#logger(process, { ...base, ...fields }),
    };
  }
}
