/**
 * 10. A join token makes one node, however many machines use it at the same moment
 * and whatever happens to the server and to its answers meanwhile.
 */
import { utf8 } from '#base/mod.ts';
import { nodeSubject } from '#platform/identity/mod.ts';
import { readBody } from '#platform/io/mod.ts';
import { apiAddress, guestPrefix, places } from '../constants.ts';
import type { Fleet } from '../fleet.ts';
import type { Truth } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

const answerBytesMax = 256 * 1024;
const requestTimeoutMs = 10_000;
const racers = 3;

/** Makes a token and races machines for it; says who got in. */
export class TokenRaces {
  readonly #fleet: Fleet;
  readonly #violate: Violate;
  #races = 0;

  constructor(fleet: Fleet, truth: Truth, violate: Violate) {
    this.#fleet = fleet;
    this.#violate = violate;
    const winners = new Map<string, string>();
    truth.onBatch((batch) => {
      for (const { type, object, previous } of batch.events) {
        const { resource, name } = object.key;
        if (type !== 'put' || previous !== undefined || resource !== 'nodes') continue;
        if (!name.startsWith(guestPrefix)) continue;
        const race = name.slice(0, name.lastIndexOf('-'));
        const first = winners.get(race);
        if (first !== undefined && first !== name) {
          violate(invariants.tokenWorksOnce, `one token made the nodes ${first} and ${name}`);
        }
        winners.set(race, name);
      }
    });
  }

  async race(): Promise<void> {
    this.#races += 1;
    const race = `${guestPrefix}${this.#races}`;
    const token = await this.#fleet.operator.joinToken(places[0].site);
    const names = Array.from({ length: racers }, (_, index) => `${race}-${index}`);
    const answers = await Promise.all(names.map((name) => this.#join(name, token)));
    const winners = names.filter((_, index) => answers[index] === 201 || answers[index] === 200);
    if (winners.length > 1) {
      const why = `one token was answered with certificates for ${winners.join(' and ')}`;
      this.#violate(invariants.tokenWorksOnce, why);
    }
  }

  /** The status of the answer; undefined where there was none. */
  async #join(nodeName: string, token: string): Promise<number | undefined> {
    const { keys, httpClient } = this.#fleet.operatorHost.ports;
    const pair = await keys.createKeyPair();
    const certificateRequestPem = await keys.createRequest(pair, nodeSubject(nodeName));
    try {
      const response = await httpClient.request({
        address: apiAddress,
        tls: { trustPem: this.#fleet.trustPem },
        method: 'POST',
        target: '/apis/selvage.dev/v1/nodejoins',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: utf8(JSON.stringify({ nodeName, certificateRequestPem })),
        timeoutMs: requestTimeoutMs,
        bodyTimeoutMs: requestTimeoutMs,
      });
      await readBody(response.body, answerBytesMax);
      return response.status;
    } catch {
      // Unknown, not refused: the store says whether it got in.
      return undefined;
    }
  }
}
