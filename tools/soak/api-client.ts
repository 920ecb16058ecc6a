/** The clients of the `api` soak: one connection each, over every kill of the server. */
import { Agent, request } from 'node:https';
import type { Endpoint } from '../../bench/support/endpoint.ts';

export interface SoakAnswer {
  /** 0: no answer came. */
  readonly status: number;
  readonly text: string;
}

const callTimeoutMs = 20_000;

export class SoakClient {
  readonly #agent: Agent;
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#agent = new Agent({
      keepAlive: true,
      ca: endpoint.trustPem,
      cert: endpoint.certificatePem,
      key: endpoint.privateKeyPem,
    });
  }

  call(method: string, path: string, body?: unknown): Promise<SoakAnswer> {
    const { host, port } = this.#endpoint;
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers =
      bytes === undefined ? {} : { 'content-type': contentType, 'content-length': bytes.length };
    return new Promise((resolve) => {
      const failed = (): void => resolve({ status: 0, text: '' });
      const sent = request(
        { host, port, method, path, agent: this.#agent, headers, timeout: callTimeoutMs },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
          answer.on('error', failed);
          answer.on('close', failed);
        },
      );
      sent.on('error', failed);
      sent.on('timeout', () => sent.destroy(new Error('timed out')));
      sent.end(bytes);
    });
  }

  /** Every line of the answer; resolves with its status when it has ended, however. */
  follow(
    path: string,
    onLine: (line: string) => void,
  ): { readonly ended: Promise<number>; close(): void } {
    const { host, port } = this.#endpoint;
    let close = (): void => {};
    const ended = new Promise<number>((resolve) => {
      let status = 0;
      const over = (): void => resolve(status);
      const sent = request({ host, port, path, agent: this.#agent }, (answer) => {
        status = answer.statusCode ?? 0;
        let rest = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          const lines = (rest + part).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) onLine(line);
        });
        answer.on('error', over);
        answer.on('close', over);
      });
      sent.on('error', over);
      sent.on('close', over);
      close = () => sent.destroy();
      sent.end();
    });
    return { ended, close: () => close() };
  }

  close(): void {
    this.#agent.destroy();
  }
}
