/**
 * The `api` part of the soak: 5,000 objects, 100 watchers and 200 writes a second against
 * a real server that is killed and started again twice. Watchers go on as informers do,
 * from the last revision that they know, and list again where the server says 410; a few
 * stay away for longer than the server remembers. Afterwards every watcher holds what the
 * list has and was shown every acknowledged write once, in order, and every acknowledged
 * write is there.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { until } from '../../bench/support/processes.ts';
import { quantile } from '../../bench/support/statistics.ts';
import { SoakClient } from './api-client.ts';
import { collection, configMap, type ConfigMap, shownOf } from './config-maps.ts';
import { Lane } from './lane.ts';
import { SoakServer } from './server.ts';
import type { ShownObject } from './watched-view.ts';
import { Watcher } from './watcher.ts';
import { WriteLedger } from './write-ledger.ts';

export interface ApiSoakSettings {
  readonly minutes: number;
  /** 0: one process answers. */
  readonly fronts: number;
  readonly print: (line: string) => void;
}

const objects = 5_000;
const watchers = 100;
const writesPerSecond = 200;
const kills = 2;
const lanes = 32;
/** Watchers that are away once, for longer than 10,000 writes take. */
const absentWatchers = 5;
const absenceMs = 70_000;
const startTimeoutMs = 60_000;
const catchUpTimeoutMs = 120_000;
const differencesShownMax = 20;
/** Of the writes that were due while the server was there: fewer, and this was no load. */
const acknowledgedShareMin = 0.6;
const progressEveryMs = 20_000;
const fence = 'fence';

/** Makes a write due every 5 ms, to each lane in turn, until the time is over. */
async function writeAtRate(laneList: readonly Lane[], forMs: number): Promise<number> {
  const began = performance.now();
  let due = 0;
  while (performance.now() - began < forMs) {
    const dueMs = began + (due * 1_000) / writesPerSecond;
    const aheadMs = dueMs - performance.now();
    if (aheadMs > 0) await wait(Math.ceil(aheadMs));
    laneList[due % laneList.length]?.write();
    due += 1;
  }
  await Promise.all(laneList.map((lane) => lane.idle()));
  return due;
}

const sumOf = <Item>(items: readonly Item[], value: (item: Item) => number): number =>
  items.reduce((sum, item) => sum + value(item), 0);

/** All the clients of one run, and what came of them. */
class Run {
  readonly #settings: ApiSoakSettings;
  readonly #server: SoakServer;
  readonly #ledger = new WriteLedger();
  readonly #lanes: Lane[] = [];
  readonly #watchers: Watcher[] = [];
  #watching: Promise<void>[] = [];
  #downMs = 0;

  constructor(settings: ApiSoakSettings, server: SoakServer) {
    this.#settings = settings;
    this.#server = server;
  }

  async prepare(): Promise<void> {
    const { endpoint } = this.#server;
    const client = new SoakClient(endpoint);
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'soak' } };
    const { status, text } = await client.call('POST', '/api/v1/namespaces', namespace);
    if (status !== 201) throw new Error(`no namespace: ${text}`);
    client.close();
    for (let number = 0; number < lanes; number += 1) {
      this.#lanes.push(new Lane(number, endpoint, this.#ledger));
    }
    const shareOf = (lane: number): number => Math.floor((objects + lane) / lanes);
    await Promise.all(this.#lanes.map((lane, number) => lane.fill(shareOf(number))));
    for (let number = 0; number < watchers; number += 1) {
      this.#watchers.push(new Watcher(endpoint));
    }
    this.#watching = this.#watchers.map((watcher) => watcher.run());
    await until('every watcher has listed', startTimeoutMs, () =>
      this.#watchers.every(({ connections }) => connections > 0),
    );
  }

  /** Kills at a third and at two thirds of the time. */
  async load(): Promise<number> {
    const totalMs = this.#settings.minutes * 60_000;
    const prepared = sumOf(this.#lanes, ({ acknowledged }) => acknowledged);
    const progress = setInterval(() => {
      const made = sumOf(this.#lanes, ({ acknowledged }) => acknowledged) - prepared;
      const shown = sumOf(this.#watchers, ({ view }) => view.revisions.length);
      this.#settings.print(`api: ${made} writes acknowledged, ${shown} events shown`);
    }, progressEveryMs);
    const awayMs = Math.min(absenceMs, totalMs / 2);
    const absences = this.#watchers
      .slice(0, absentWatchers)
      .map((watcher) => wait(totalMs / 10).then(() => watcher.beAway(awayMs)));
    const killing = this.#killAndStart(totalMs / (kills + 1));
    try {
      const due = await writeAtRate(this.#lanes, totalMs);
      await killing;
      await Promise.all(absences);
      return due;
    } finally {
      clearInterval(progress);
    }
  }

  async #killAndStart(everyMs: number): Promise<void> {
    for (let kill = 1; kill <= kills; kill += 1) {
      await wait(everyMs);
      const began = performance.now();
      await this.#server.kill();
      const goneMs = performance.now() - began;
      await this.#server.start();
      const tookMs = performance.now() - began;
      this.#downMs += tookMs;
      this.#settings.print(
        `api: killed, gone after ${goneMs.toFixed(0)} ms, ready again after ${tookMs.toFixed(0)} ms`,
      );
    }
  }

  /** The last write of all: who has been shown it has been shown everything. */
  async fence(): Promise<readonly ShownObject[]> {
    const client = new SoakClient(this.#server.endpoint);
    const { status, text } = await client.call('POST', collection, configMap(fence, fence));
    if (status !== 201) throw new Error(`no last write: ${status} ${text}`);
    this.#ledger.written(fence, fence, shownOf(JSON.parse(text) as ConfigMap).revision);
    let isShown = true;
    await until('every watcher has caught up', catchUpTimeoutMs, () =>
      this.#watchers.every(({ view }) => view.objects.has(fence)),
    ).catch(() => {
      isShown = false;
    });
    if (!isShown) this.#ledger.faults.push('not every watcher was shown the last write');
    const answer = await client.call('GET', collection);
    if (answer.status !== 200) throw new Error(`no list: ${answer.status} ${answer.text}`);
    client.close();
    const { items } = JSON.parse(answer.text) as { items: ConfigMap[] };
    return items.map(shownOf);
  }

  async close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.stop();
    await Promise.all(this.#watching);
    for (const lane of this.#lanes) lane.close();
  }

  /** Prints what happened; answers whether nothing was wrong. */
  report(due: number, listed: readonly ShownObject[]): boolean {
    const { print } = this.#settings;
    const acknowledged = sumOf(this.#lanes, (lane) => lane.acknowledged) - objects;
    const unanswered = sumOf(this.#lanes, (lane) => lane.unanswered);
    const refused = sumOf(this.#lanes, (lane) => lane.refused);
    const latencies = Float64Array.from(this.#lanes.flatMap((lane) => lane.latencies)).sort();
    print(
      `api: ${due} writes were due, ${acknowledged} acknowledged, ${unanswered} without an ` +
        `answer, ${refused} refused, the rest not made while lanes waited; ` +
        `p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p99 ${quantile(latencies, 0.99).toFixed(1)} ms`,
    );
    print(
      `api: ${sumOf(this.#watchers, ({ view }) => view.revisions.length)} events shown to ` +
        `${watchers} watchers over ${sumOf(this.#watchers, ({ connections }) => connections)} ` +
        `watches, ${sumOf(this.#watchers, ({ expirations }) => expirations)} of them told 410, ` +
        `${sumOf(this.#watchers, ({ lists }) => lists)} lists`,
    );
    const foreign = listed.filter(({ name }) => name === 'kube-root-ca.crt');
    const own = listed.filter(({ name }) => name !== 'kube-root-ca.crt');
    const differences = [
      ...this.#ledger.differences(own),
      ...this.#watchers.flatMap(({ view, connections }, number) => {
        const found = view.differences(this.#ledger.revisions, [...foreign, ...own]);
        const all = connections > kills ? found : [...found, 'its watch never broke'];
        return all.map((text) => `watcher ${number}: ${text}`);
      }),
    ];
    const dueWhileUp = due - (this.#downMs * writesPerSecond) / 1_000;
    if (acknowledged < dueWhileUp * acknowledgedShareMin) {
      differences.push(`only ${acknowledged} of ${dueWhileUp.toFixed(0)} writes were acknowledged`);
    }
    for (const text of differences.slice(0, differencesShownMax)) print(`api: FAILED: ${text}`);
    print(`api: ${own.length} objects at last, ${differences.length} differences`);
    return differences.length === 0;
  }
}

export async function soakApi(settings: ApiSoakSettings): Promise<boolean> {
  const server = new SoakServer(settings.fronts);
  try {
    await server.start();
    const run = new Run(settings, server);
    try {
      await run.prepare();
      settings.print(`api: ${objects} objects and ${watchers} watchers, ${settings.fronts} fronts`);
      const due = await run.load();
      const listed = await run.fence();
      return run.report(due, listed);
    } finally {
      await run.close();
    }
  } finally {
    await server.close();
  }
}
