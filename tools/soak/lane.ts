/** One writer of the `api` soak, and what it was answered. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Endpoint } from '../../bench/support/endpoint.ts';
import { SoakClient } from './api-client.ts';
import { collection, configMap, type ConfigMap } from './config-maps.ts';
import type { WriteLedger } from './write-ledger.ts';

/** Writes that wait while the server is away; more are not made. */
const queueMax = 4;

/** Writes one after the other to objects that nobody else writes. */
export class Lane {
  readonly latencies: number[] = [];
  acknowledged = 0;
  unanswered = 0;
  refused = 0;
  readonly #number: number;
  readonly #client: SoakClient;
  readonly #ledger: WriteLedger;
  readonly #names: string[] = [];
  #made = 0;
  #turn = 0;
  #waiting = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(number: number, endpoint: Endpoint, ledger: WriteLedger) {
    this.#number = number;
    this.#client = new SoakClient(endpoint);
    this.#ledger = ledger;
  }

  async fill(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) await this.#create();
    if (this.acknowledged !== count) throw new Error('an object could not be created');
  }

  /** False where too many wait already. */
  write(): boolean {
    if (this.#waiting >= queueMax) return false;
    this.#waiting += 1;
    this.#work = this.#work.then(async () => {
      await this.#next();
      this.#waiting -= 1;
    });
    return true;
  }

  async idle(): Promise<void> {
    await this.#work;
  }

  close(): void {
    this.#client.close();
  }

  /** Of twenty one deletes, one creates, the rest change. */
  async #next(): Promise<void> {
    this.#turn += 1;
    const at = (this.#turn * 7) % this.#names.length;
    const name = this.#names[at];
    if (this.#turn % 20 === 0 || name === undefined) await this.#create();
    else if (this.#turn % 20 === 10) await this.#delete(name, at);
    else await this.#change(name, at);
  }

  #value(): string {
    this.#made += 1;
    return `${this.#number}-${this.#made}`;
  }

  async #create(): Promise<void> {
    const value = this.#value();
    const name = `object-${value}`;
    const { status, text } = await this.#timed('POST', collection, configMap(name, value));
    if (status === 201) this.#ledger.written(name, value, this.#acknowledge(text));
    else this.#without(status, name, value, text);
    if (status === 201 || status === 0 || status >= 500) this.#names.push(name);
  }

  async #change(name: string, at: number): Promise<void> {
    const value = this.#value();
    const { status, text } = await this.#timed('PATCH', `${collection}/${name}`, {
      data: { value },
    });
    if (status === 200) this.#ledger.written(name, value, this.#acknowledge(text));
    else if (status === 404) this.#gone(name, at);
    else this.#without(status, name, value, text);
  }

  async #delete(name: string, at: number): Promise<void> {
    const { status, text } = await this.#timed('DELETE', `${collection}/${name}`);
    if (status === 200) {
      this.acknowledged += 1;
      this.#ledger.deleted(name);
      this.#names.splice(at, 1);
    } else if (status === 404) {
      this.#gone(name, at);
    } else {
      this.#without(status, name, undefined, text);
    }
  }

  #gone(name: string, at: number): void {
    this.#ledger.notFound(name);
    this.#names.splice(at, 1);
  }

  #acknowledge(text: string): number {
    this.acknowledged += 1;
    return Number((JSON.parse(text) as ConfigMap).metadata.resourceVersion);
  }

  #without(status: number, name: string, state: string | undefined, text: string): void {
    if (status === 0 || status >= 500) {
      this.unanswered += 1;
      this.#ledger.unanswered(name, state);
    } else if (status === 429) {
      this.refused += 1;
    } else {
      this.#ledger.faults.push(`a write of ${name} was answered ${status}: ${text.slice(0, 200)}`);
    }
  }

  async #timed(method: string, path: string, body?: unknown) {
    const began = performance.now();
    const answer = await this.#client.call(method, path, body);
    if (answer.status >= 200 && answer.status < 300) {
      this.latencies.push(performance.now() - began);
    } else {
      await wait(50);
    }
    return answer;
  }
}
