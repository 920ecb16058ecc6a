/** Requests to a fleet's API as raw bytes over HTTPS, for what no well-behaved client sends. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { parse } from 'yaml';

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface RawApi {
  readonly ca: string;
  readonly admin: ClientCertificate;
  /** `certificate` undefined: none is sent. A connection that breaks answers status 0. */
  send(
    method: string,
    path: string,
    options?: {
      readonly body?: string | Buffer;
      readonly contentType?: string;
      readonly certificate?: ClientCertificate | 'none';
    },
  ): Promise<RawAnswer>;
}

const timeoutMs = 20_000;

export function rawApiFor(kubeconfigPath: string): RawApi {
  const config = parse(readFileSync(kubeconfigPath, 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const cluster = config.clusters[0]?.cluster ?? {};
  const user = config.users[0]?.user ?? {};
  const text = (encoded: string | undefined): string =>
    Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const server = new URL(cluster['server'] ?? '');
  const ca = text(cluster['certificate-authority-data']);
  const admin = {
    cert: text(user['client-certificate-data']),
    key: text(user['client-key-data']),
  };
  return {
    ca,
    admin,
    send: (method, path, options = {}) =>
      new Promise((resolve) => {
        const certificate = options.certificate === 'none' ? {} : (options.certificate ?? admin);
        const body = options.body === undefined ? undefined : Buffer.from(options.body);
        const call = request(
          {
            host: server.hostname,
            port: server.port,
            method,
            path,
            ca,
            ...certificate,
            agent: false,
            timeout: timeoutMs,
            headers:
              body === undefined
                ? {}
                : {
                    'content-type': options.contentType ?? 'application/json',
                    'content-length': body.length,
                  },
          },
          (answer) => {
            let received = '';
            answer.setEncoding('utf8');
            answer.on('data', (chunk: string) => {
              received += chunk;
            });
            answer.on('close', () => resolve({ status: answer.statusCode ?? 0, text: received }));
          },
        );
        // The server may answer and close while a large body is still being sent.
        call.on('error', (error) => resolve({ status: 0, text: error.message }));
        call.on('timeout', () => call.destroy(new Error('timed out')));
        call.end(body);
      }),
  };
}
