/**
 * Connections of the `api` benchmark's clients: requests over one kept-alive connection
 * each, and watches that count lines without reading them, so that a thousand of them
 * cost the generator little.
 */
import { Agent, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import type { Call } from './api-calls.ts';
import type { Endpoint } from './endpoint.ts';

/** The same for all systems: each would choose another of its own. */
const tlsChoice = { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3' } as const;
const openedAtOnce = 16;
const openTimeoutMs = 60_000;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

export class CallClient {
  readonly #agent: Agent;
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#agent = new Agent({
      ...tlsChoice,
      keepAlive: true,
      maxSockets: 1,
      ca: endpoint.trustPem,
      cert: endpoint.certificatePem,
      key: endpoint.privateKeyPem,
    });
  }

  /** The body of the answer. Throws where it has another status than is expected. */
  send({ method, path, body, contentType, expect }: Call): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const headers =
        body === undefined ? {} : { 'content-type': contentType, 'content-length': body.length };
      const outgoing = request(
        {
          host: this.#endpoint.host,
          port: this.#endpoint.port,
          agent: this.#agent,
          method,
          path,
          headers,
        },
        (incoming) => {
          const parts: Buffer[] = [];
          incoming.on('data', (part: Buffer) => parts.push(part));
          incoming.on('error', reject);
          incoming.on('end', () => {
            const whole = Buffer.concat(parts);
            if (incoming.statusCode === expect) resolve(whole);
            else {
              const status = String(incoming.statusCode);
              reject(new Error(`${method} ${path}: ${status} ${whole.toString('utf8', 0, 500)}`));
            }
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** A connection on which one request is sent and lines are counted. */
export class RawWatch {
  /** Of the answer's body: line feeds that end no line of HTTP's own. */
  lines = 0;
  onLine: (() => void) | undefined;
  readonly #socket: TLSSocket;
  readonly #endpoint: Endpoint;
  #last = 0;
  #onData: (() => void) | undefined;
  #onEnd: ((why: Error) => void) | undefined;
  #isClosing = false;

  private constructor(socket: TLSSocket, endpoint: Endpoint) {
    this.#socket = socket;
    this.#endpoint = endpoint;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#isClosing) return;
      const why = new Error('the server closed a watch');
      if (this.#onEnd === undefined) throw why;
      this.#onEnd(why);
    });
  }

  static open(endpoint: Endpoint): Promise<RawWatch> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        ...tlsChoice,
        host: endpoint.host,
        port: endpoint.port,
        ca: endpoint.trustPem,
        cert: endpoint.certificatePem,
        key: endpoint.privateKeyPem,
      });
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('secureConnect', () => resolve(new RawWatch(socket, endpoint)));
    });
  }

  /** Resolves with the first bytes of the answer. */
  async send({ method, path, body, contentType }: Call): Promise<void> {
    const { host, port } = this.#endpoint;
    const head = [`${method} ${path} HTTP/1.1`, `host: ${host}:${port}`];
    if (body !== undefined) {
      head.push(`content-type: ${contentType}`, `content-length: ${body.length}`);
    }
    const answered = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${path}`)), openTimeoutMs);
      this.#onEnd = reject;
      this.#onData = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#socket.write(`${head.join('\r\n')}\r\n\r\n`);
    if (body !== undefined) this.#socket.write(body);
    await answered;
    this.#onData = undefined;
    this.#onEnd = undefined;
  }

  #take(bytes: Buffer): void {
    this.#onData?.();
    for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
      const before = at === 0 ? this.#last : bytes[at - 1];
      if (before === carriageReturn) continue;
      this.lines += 1;
      this.onLine?.();
    }
    this.#last = bytes.at(-1) ?? this.#last;
  }

  close(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }
}

/** Does something for each of many, a few at a time. */
export async function forEachOf<Item>(
  items: readonly Item[],
  act: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      const item = items[index];
      if (item !== undefined) await act(item, index);
    }
  };
  await Promise.all(Array.from({ length: openedAtOnce }, worker));
}

/** That many connections, on which nothing was asked yet. */
export async function openConnections(endpoint: Endpoint, count: number): Promise<RawWatch[]> {
  const opened: RawWatch[] = [];
  await forEachOf(Array.from({ length: count }, String), async () => {
    opened.push(await RawWatch.open(endpoint));
  });
  return opened;
}
