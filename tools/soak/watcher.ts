/** One watcher of the `api` soak, as an informer is: lists, watches, goes on, lists again. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Endpoint } from '../../bench/support/endpoint.ts';
import { SoakClient } from './api-client.ts';
import { collection, type ConfigMap, shownOf } from './config-maps.ts';
import { WatchedView } from './watched-view.ts';

export class Watcher {
  readonly view = new WatchedView();
  connections = 0;
  lists = 0;
  expirations = 0;
  readonly #client: SoakClient;
  #isOver = false;
  #isAway = false;
  #closeWatch = (): void => {};

  constructor(endpoint: Endpoint) {
    this.#client = new SoakClient(endpoint);
  }

  async run(): Promise<void> {
    let mustList = true;
    while (!this.#isOver) {
      if (this.#isAway) {
        await wait(100);
      } else if (mustList) {
        mustList = !(await this.#list());
        if (mustList) await wait(100 + Math.random() * 400);
      } else {
        mustList = await this.#watch();
        // As client libraries do, not all at one time.
        await wait(20 + Math.random() * 300);
      }
    }
    this.#client.close();
  }

  async #list(): Promise<boolean> {
    const { status, text } = await this.#client.call('GET', collection);
    if (status !== 200) return false;
    const list = JSON.parse(text) as { metadata: { resourceVersion: string }; items: ConfigMap[] };
    this.lists += 1;
    this.view.list(Number(list.metadata.resourceVersion), list.items.map(shownOf));
    return true;
  }

  /** Whether what was asked for is no longer remembered. */
  async #watch(): Promise<boolean> {
    let isExpired = false;
    const seconds = 20 + Math.floor(Math.random() * 40);
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}`;
    const path = `${collection}?${query}&resourceVersion=${this.view.revision}`;
    this.connections += 1;
    const followed = this.#client.follow(path, (line) => {
      const { type, object } = JSON.parse(line) as { type: string; object: ConfigMap };
      if (type === 'ERROR') {
        const { code } = object as unknown as { code: number };
        if (code !== 410) this.view.faults.push(`a watch said ${line}`);
        isExpired = true;
      } else if (type === 'BOOKMARK') {
        this.view.bookmark(Number(object.metadata.resourceVersion));
      } else {
        this.view.event({ type, ...shownOf(object) });
      }
    });
    this.#closeWatch = () => followed.close();
    const status = await followed.ended;
    if (status === 410) isExpired = true;
    if (isExpired) this.expirations += 1;
    return isExpired;
  }

  async beAway(forMs: number): Promise<void> {
    this.#isAway = true;
    this.#closeWatch();
    await wait(forMs);
    this.#isAway = false;
  }

  stop(): void {
    this.#isOver = true;
    this.#closeWatch();
  }
}
