/**
 * What a load costs: it runs on, is measured after its warm-up for a time, and is then
 * told to end. For generators that are processes of their own.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Cost, costBetween, costOf } from './processes.ts';
import { quantile } from './statistics.ts';

export interface MeasurementOptions {
  readonly serverPid: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

export interface Measured {
  readonly count: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** In the measured time, of the server and of this process. */
  readonly serverCost: Cost;
  readonly generatorCpuMs: number;
}

export class Measurement {
  readonly #options: MeasurementOptions & { readonly countsLate: boolean };
  readonly #latencies: number[] = [];
  #isMeasured = false;
  #isOver = false;

  /** `countsLate`: what began in the measured time counts also where it ended after it. */
  constructor(options: MeasurementOptions, { countsLate }: { readonly countsLate: boolean }) {
    const { serverPid, warmupMs, measureMs } = options;
    this.#options = { serverPid, warmupMs, measureMs, countsLate };
  }

  /** What loads is to begin nothing more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  take(tookMs: number): void {
    if (this.#isMeasured) this.#latencies.push(tookMs);
  }

  /** Runs `load` until it sees `isOver`. */
  async over(load: () => Promise<unknown>): Promise<Measured> {
    const { serverPid, warmupMs, measureMs, countsLate } = this.#options;
    const running = load();
    await Promise.race([running, pause(warmupMs)]);
    this.#isMeasured = true;
    const cpuBefore = process.cpuUsage();
    const costBefore = costOf(serverPid);
    const began = performance.now();
    await Promise.race([running, pause(measureMs)]);
    this.#isMeasured = countsLate;
    const seconds = (performance.now() - began) / 1_000;
    const cpu = process.cpuUsage(cpuBefore);
    const serverCost = costBetween(costBefore, costOf(serverPid));
    this.#isOver = true;
    await running;
    const sorted = Float64Array.from(this.#latencies).sort();
    return {
      count: sorted.length,
      seconds,
      p50Ms: quantile(sorted, 0.5),
      p90Ms: quantile(sorted, 0.9),
      p99Ms: quantile(sorted, 0.99),
      p999Ms: quantile(sorted, 0.999),
      maxMs: sorted.at(-1) ?? Number.NaN,
      serverCost,
      generatorCpuMs: (cpu.user + cpu.system) / 1_000,
    };
  }
}
