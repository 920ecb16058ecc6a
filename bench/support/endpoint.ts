/** One HTTPS request with a client certificate, for what a benchmark does beside measuring. */
import { type Agent, request } from 'node:https';

/** Where a server answers and how to be believed there. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly trustPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export function ask(
  endpoint: Endpoint,
  method: string,
  path: string,
  body?: unknown,
  agent: Agent | false = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: endpoint.host,
        port: endpoint.port,
        method,
        path,
        agent,
        ca: endpoint.trustPem,
        cert: endpoint.certificatePem,
        key: endpoint.privateKeyPem,
        headers: { 'content-type': 'application/json' },
      },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }));
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
