/**
 * Clients that keep a server busy and remember what it told them, so that after
 * any end it can be asked for every write that it acknowledged.
 *
 * Each object has one client, which has one request under way. So an object must
 * be as its last acknowledged write left it, or as the one under way would have.
 * Both values in an object are of the same write: half of one is told from a whole.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';

const collection = '/api/v1/namespaces/default/configmaps';
const objectsPerClient = 6;
const valueBytes = 400;
const blobBytes = 8 * 1024;
const blobEveryRounds = 8;
const answerTimeoutMs = 20_000;
/** What the server itself keeps in the namespace begins otherwise. */
const namePrefix = 'ledger-';

/** `undefined`: there is no such object. */
type State = string | undefined;

interface Entry {
  state: State;
  /** Of the request under way, and of those whose answer never came or said nothing. */
  perhaps: State[];
}

export interface Refusal {
  readonly status: number;
  readonly text: string;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

interface Access {
  send(method: string, path: string, body?: Buffer, contentType?: string): Promise<Answer>;
  close(): void;
}

/** Connections that are kept, as the administrator of the kubeconfig. */
function openAccess(kubeconfig: string): Access {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const pem = (encoded: string | undefined): string =>
    Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const server = new URL(config.clusters[0]?.cluster['server'] ?? '');
  const agent = new Agent({
    keepAlive: true,
    ca: pem(config.clusters[0]?.cluster['certificate-authority-data']),
    cert: pem(config.users[0]?.user['client-certificate-data']),
    key: pem(config.users[0]?.user['client-key-data']),
  });
  return {
    close: () => agent.destroy(),
    send: (method, path, body, contentType = 'application/json') =>
      new Promise((resolve, reject) => {
        const call = request(
          {
            host: server.hostname,
            port: server.port,
            method,
            path,
            agent,
            timeout: answerTimeoutMs,
            headers:
              body === undefined
                ? {}
                : { 'content-type': contentType, 'content-length': body.length },
          },
          (answer) => {
            const parts: Buffer[] = [];
            answer.on('data', (part: Buffer) => parts.push(part));
            answer.on('error', reject);
            answer.on('end', () => {
              resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts) });
            });
            answer.on('close', () => reject(new Error('the answer was cut off')));
          },
        );
        call.on('error', reject);
        call.on('timeout', () => call.destroy(new Error('no answer in time')));
        call.end(body);
      }),
  };
}

function objectText(name: string, state: string): Buffer {
  const data = { left: state, right: state };
  return Buffer.from(
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data }),
  );
}

export class Ledger {
  /** Writes that were acknowledged, of all sessions. */
  acknowledged = 0;
  /** The first answers that were neither success nor the end of the server. */
  readonly refusals: Refusal[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #blobs = new Map<string, Buffer>();
  readonly #pushesBlobs: boolean;
  #writes = 0;

  constructor(options: { readonly pushesBlobs: boolean } = { pushesBlobs: true }) {
    this.#pushesBlobs = options.pushesBlobs;
  }

  /**
   * Keeps the server busy until it answers no more, refuses, or `isEnough`. What it
   * refused with 507 has changed nothing; what it refused otherwise is unknown.
   */
  async work(kubeconfig: string, clients: number, isEnough: () => boolean): Promise<void> {
    const access = openAccess(kubeconfig);
    try {
      const all = Array.from({ length: clients }, (_, client) =>
        this.#workAs(client, access, isEnough),
      );
      await Promise.all(all);
    } finally {
      access.close();
    }
  }

  async #workAs(client: number, access: Access, isEnough: () => boolean): Promise<void> {
    for (let round = 0; !isEnough(); round += 1) {
      const name = `${namePrefix}${client}-${round % objectsPerClient}`;
      try {
        const goesOn = await this.#step(access, name);
        if (!goesOn) return;
        const isTurn = this.#pushesBlobs && round % blobEveryRounds === client % blobEveryRounds;
        if (isTurn && !(await this.#push(access))) return;
      } catch {
        // The server is gone: what was under way stays unknown.
        return;
      }
    }
  }

  /** Creates what is not there; changes it, and deletes it one time in four. */
  async #step(access: Access, name: string): Promise<boolean> {
    const entry = this.#entries.get(name) ?? { state: undefined, perhaps: [] };
    this.#entries.set(name, entry);
    this.#writes += 1;
    const value = `${this.#writes} ${'v'.repeat(valueBytes)}`;
    const path = `${collection}/${name}`;
    const wanted = entry.state !== undefined && this.#writes % 4 === 0 ? undefined : value;
    entry.perhaps.push(wanted);
    let answer: Answer;
    if (entry.state === undefined) {
      answer = await access.send('POST', collection, objectText(name, value));
    } else if (wanted === undefined) {
      answer = await access.send('DELETE', path);
    } else {
      const patch = Buffer.from(JSON.stringify({ data: { left: value, right: value } }));
      answer = await access.send('PATCH', path, patch, 'application/merge-patch+json');
    }
    if (answer.status < 300) {
      entry.state = wanted;
      entry.perhaps = [];
      this.acknowledged += 1;
      return true;
    }
    if (answer.status === 507) entry.perhaps.pop();
    this.refusals.push({ status: answer.status, text: answer.body.toString('utf8') });
    return false;
  }

  async #push(access: Access): Promise<boolean> {
    const bytes = randomBytes(blobBytes);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const path = `/v2/ledger/blobs/uploads/?digest=${digest}`;
    const { status, body } = await access.send('POST', path, bytes, 'application/octet-stream');
    if (status === 201) {
      this.#blobs.set(digest, bytes);
      this.acknowledged += 1;
      return true;
    }
    this.refusals.push({ status, text: body.toString('utf8') });
    return false;
  }

  /** What a restarted server has that is not as it was acknowledged; then goes on from there. */
  async differences(kubeconfig: string): Promise<string[]> {
    return await this.#compare(kubeconfig, true);
  }

  /** The same of a server that goes on: what is unknown it must not show. */
  async differencesWhileRunning(kubeconfig: string): Promise<string[]> {
    return await this.#compare(kubeconfig, false);
  }

  async #compare(kubeconfig: string, isRestarted: boolean): Promise<string[]> {
    const access = openAccess(kubeconfig);
    try {
      return [
        ...(await this.#differentObjects(access, isRestarted)),
        ...(await this.#differentBlobs(access)),
      ];
    } finally {
      access.close();
    }
  }

  async #differentObjects(access: Access, isRestarted: boolean): Promise<string[]> {
    const answer = await access.send('GET', collection);
    if (answer.status !== 200) return [`the list was refused with ${answer.status}`];
    const { items } = JSON.parse(answer.body.toString('utf8')) as {
      items: { metadata: { name: string }; data: { left: string; right: string } }[];
    };
    const differences: string[] = [];
    const found = new Map<string, string>();
    for (const { metadata, data } of items) {
      if (!metadata.name.startsWith(namePrefix)) continue;
      if (data.left !== data.right) differences.push(`${metadata.name} is half of a write`);
      if (!this.#entries.has(metadata.name)) differences.push(`${metadata.name} was never sent`);
      found.set(metadata.name, data.left);
    }
    for (const [name, entry] of this.#entries) {
      const state = found.get(name);
      const isRight = state === entry.state || (isRestarted && entry.perhaps.includes(state));
      if (!isRight) {
        const short = (text: State): string => text?.slice(0, 12) ?? 'nothing';
        differences.push(`${name} is ${short(state)}, acknowledged was ${short(entry.state)}`);
      }
      if (!isRestarted) continue;
      entry.state = state;
      entry.perhaps = [];
    }
    return differences;
  }

  async #differentBlobs(access: Access): Promise<string[]> {
    const differences: string[] = [];
    for (const [digest, bytes] of this.#blobs) {
      const { status, body } = await access.send('GET', `/v2/ledger/blobs/${digest}`);
      if (status !== 200 || !body.equals(bytes)) differences.push(`${digest}: status ${status}`);
    }
    return differences;
  }
}
