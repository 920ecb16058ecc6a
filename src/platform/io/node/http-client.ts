/**
 * HTTP/1.1 over TLS as a client: connections are kept and reused per server and
 * credentials, TLS sessions are not, so that trust is looked at each time.
 *
 * Node's HTTP takes 4 MB of memory, which an agent needs once a day at most: it is
 * loaded with the first request.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type * as https from 'node:https';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import type { HttpClient, HttpClientRequest, HttpClientResponse } from '../http.ts';
import { NetError } from '../net.ts';
import { netErrorOf } from './net-errors.ts';

const idleConnectionsMax = 16;
const headerMaxBytes = 32_768;

function optionsOf(request: HttpClientRequest, agent: https.Agent): https.RequestOptions {
  const { address, tls } = request;
  const expectedName = tls.serverName ?? address.host;
  return {
    agent,
    host: address.host,
    port: address.port,
    method: request.method,
    path: request.target,
    headers: { host: `${expectedName}:${address.port}`, ...request.headers },
    ca: tls.trustPem,
    minVersion: 'TLSv1.2',
    maxHeaderSize: headerMaxBytes,
    servername: isIP(expectedName) === 0 ? expectedName : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(expectedName, certificate),
    ...(tls.credentials === undefined
      ? {}
      : { cert: tls.credentials.certificatePem, key: tls.credentials.privateKeyPem }),
  };
}

/** Sends a streamed body at the pace of the connection; stops where the answer is there already. */
async function sendBody(
  outgoing: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  isAnswered: () => boolean,
): Promise<void> {
  for await (const part of body) {
    if (isAnswered() || outgoing.destroyed) return;
    if (outgoing.write(part)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        for (const event of ['drain', 'close', 'response']) outgoing.off(event, go);
        resolve();
      };
      for (const event of ['drain', 'close', 'response']) outgoing.on(event, go);
    });
  }
  outgoing.end();
}

async function* answerBody(message: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of message) yield part as Uint8Array;
    if (!message.complete) throw new NetError('NET_CLOSED', 'the answer broke off');
  } catch (thrown) {
    throw netErrorOf(thrown, 'the answer broke off');
  }
}

function responseOf(message: IncomingMessage): HttpClientResponse {
  // Told by the body's reader; without a listener it would be an exception.
  message.on('error', () => {});
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return {
    status: message.statusCode ?? 0,
    headers,
    body: answerBody(message),
    cancel: () => {
      message.destroy();
    },
  };
}

/** Ends the answer with an error where it is not whole in time. */
function limitBody(message: IncomingMessage, limitMs: number | undefined, what: string): void {
  if (limitMs === undefined) return;
  const limit = setTimeout(() => {
    const why = `${what}: the answer was not whole in ${limitMs} ms`;
    message.destroy(new NetError('NET_TIMEOUT', why, { retryable: true }));
  }, limitMs);
  for (const event of ['end', 'close']) message.once(event, () => clearTimeout(limit));
}

/** One attempt. `onReused` is called where it failed because an idle connection had gone. */
function attempt(
  request: HttpClientRequest,
  startRequest: typeof https.request,
  agent: https.Agent,
  mayRetry: boolean,
): Promise<HttpClientResponse | 'again'> {
  const what = `${request.method} to ${request.address.host}:${request.address.port}`;
  return new Promise((resolve, reject) => {
    const outgoing = startRequest(optionsOf(request, agent));
    let isAnswered = false;
    const timer = setTimeout(() => {
      outgoing.destroy(
        new NetError('NET_TIMEOUT', `${what}: no answer in ${request.timeoutMs} ms`, {
          retryable: true,
        }),
      );
    }, request.timeoutMs);
    outgoing.on('response', (message) => {
      clearTimeout(timer);
      isAnswered = true;
      // What was not sent when the answer came is never sent: the connection ends with it.
      message.once('close', () => {
        if (!outgoing.writableEnded) outgoing.destroy();
      });
      limitBody(message, request.bodyTimeoutMs, what);
      resolve(responseOf(message));
    });
    outgoing.on('error', (thrown) => {
      clearTimeout(timer);
      if (isAnswered) return;
      const error = netErrorOf(thrown, what);
      if (mayRetry && outgoing.reusedSocket && error.code === 'NET_CLOSED') resolve('again');
      else reject(error);
    });
    if (request.body === undefined) outgoing.end();
    else if (request.body instanceof Uint8Array) outgoing.end(request.body);
    else {
      sendBody(outgoing, request.body, () => isAnswered).catch((thrown: unknown) => {
        // Whoever makes the body failed: the server must not take a part for the whole.
        outgoing.destroy(netErrorOf(thrown, `${what}: the body to send failed`));
      });
    }
  });
}

/** Real HTTPS. A read that met a connection which the server had just closed is sent once more. */
export function createNodeHttpClient(): HttpClient {
  let agent: https.Agent | undefined;
  return {
    request: async (request) => {
      const { Agent, request: startRequest } = await import('node:https');
      agent ??= new Agent({
        keepAlive: true,
        maxFreeSockets: idleConnectionsMax,
        maxCachedSessions: 0,
      });
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      for (let attempts = 0; attempts < idleConnectionsMax; attempts += 1) {
        const answer = await attempt(
          request,
          startRequest,
          agent,
          isRead && request.body === undefined,
        );
        if (answer !== 'again') return answer;
      }
      throw new NetError('NET_CLOSED', 'every kept connection was closed by the server', {
        retryable: true,
      });
    },
  };
}
