/**
 * The operator of the simulated fleet: speaks HTTPS from a machine of its own,
 * and tries again when the server is away, as people and their scripts do.
 */
import { isJsonObject, SelvageError, textOf, utf8 } from '#base/mod.ts';
import { StatusError, type ApiObject } from '#platform/api/mod.ts';
import { createClient, httpTransport, type Client, type Transport } from '#platform/client/mod.ts';
import { readBody, sleep, type Credentials } from '#platform/io/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import { apiAddress, productVersion } from './constants.ts';
import { SimulationFailure } from './errors.ts';
import type { Pace } from './pace.ts';

const attemptsMax = 120;
const pauseMs = 1_000;
const answerBytesMax = 65_536;
const requestTimeoutMs = 10_000;

export interface Operator {
  readonly client: Client;
  /** Requests that got no answer or one that asks for another try. */
  readonly retries: () => number;
  /** Does it until it is done: `action` must be safe to repeat. */
  persist<Result>(what: string, action: (client: Client) => Promise<Result>): Promise<Result>;
  /** A request outside of the client's; resolves with the text of an answer 201. */
  send(method: string, target: string, contentType: string, body: Uint8Array): Promise<string>;
  joinToken(site: string): Promise<string>;
}

/**
 * Refusals that a later attempt may not meet: the state has moved on, the server is
 * busy, or its clock is wrong, so that it does not believe our certificate.
 */
export function isWorthAnotherTry(thrown: unknown): boolean {
  if (thrown instanceof StatusError) {
    const { httpStatus } = thrown;
    return httpStatus === 401 || httpStatus === 409 || httpStatus >= 500;
  }
  return thrown instanceof SelvageError;
}

export function createOperator(
  host: Host,
  credentials: Credentials,
  trustPem: string,
  { stretch }: Pace,
): Operator {
  const { httpClient, timers } = host.ports;
  const transport: Transport = httpTransport(httpClient, {
    address: apiAddress,
    tls: { credentials, trustPem },
    timeoutMs: requestTimeoutMs,
  });
  const client = createClient(transport, { userAgent: `selvage-operator/${productVersion}` });
  let retries = 0;

  async function persist<Result>(
    what: string,
    action: (client: Client) => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await action(client);
      } catch (thrown) {
        if (!isWorthAnotherTry(thrown)) throw thrown;
        if (attempt === attemptsMax) {
          const why = `the operator could not ${what} in ${attemptsMax} attempts`;
          throw new SimulationFailure('SIM_OPERATOR_REFUSED', why, { cause: thrown });
        }
        retries += 1;
        await sleep(timers, pauseMs * stretch);
      }
    }
  }

  const send: Operator['send'] = (method, target, contentType, body) =>
    persist(`${method} ${target}`, async () => {
      const headers = { 'content-type': contentType, accept: 'application/json' };
      const response = await transport({ method, target, headers, body });
      const text = textOf(await readBody(response.body, answerBytesMax));
      if (response.status === 201) return text;
      const why = `${method} ${target} is a ${response.status}: ${text}`;
      throw new SimulationFailure('SIM_OPERATOR_REFUSED', why);
    });

  return {
    client,
    retries: () => retries,
    persist,
    send,
    async joinToken(site) {
      const path = '/apis/selvage.dev/v1/jointokens';
      const text = await send('POST', path, 'application/json', utf8(JSON.stringify({ site })));
      const answer: unknown = JSON.parse(text);
      const token = isJsonObject(answer) ? answer['token'] : undefined;
      if (typeof token === 'string') return token;
      throw new SimulationFailure('SIM_OPERATOR_REFUSED', `no token for ${site}: ${text}`);
    },
  };
}

/** Makes an object, or finds that an attempt whose answer was lost has made it. */
export async function ensureCreated(
  operator: Operator,
  resource: Parameters<Client['create']>[0],
  object: ApiObject,
): Promise<void> {
  await operator.persist(`create ${object.kind} ${object.metadata.name}`, async (client) => {
    try {
      await client.create(resource, object);
    } catch (thrown) {
      if (!(thrown instanceof StatusError) || thrown.reason !== 'AlreadyExists') throw thrown;
    }
  });
}
