/**
 * Questions to workloads over Node's HTTP/1.1 and HTTP/2, without a kept connection:
 * one that is answered from an old connection says nothing of a new one.
 */
import { request as requestPlain } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { request as requestTls } from 'node:https';
import { NetError } from '../net.ts';
import type { ProbeNet } from '../probe-net.ts';
import { netErrorOf } from './net-errors.ts';

const answerBytesMax = 64 * 1024;
/** HealthCheckResponse.ServingStatus. */
const servingStatuses = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

function timeout(timeoutMs: number): NetError {
  return new NetError('NET_TIMEOUT', `no answer within ${timeoutMs} ms`);
}

const httpStatus: ProbeNet['httpStatus'] = (asked) =>
  new Promise((resolve, reject) => {
    const { address, scheme, target, headers, timeoutMs } = asked;
    const request = scheme === 'https' ? requestTls : requestPlain;
    const sent = request(
      {
        host: address.host,
        port: address.port,
        path: target,
        method: 'GET',
        headers: { connection: 'close', ...headers },
        agent: false,
        rejectUnauthorized: false,
      },
      (response) => {
        // The head is the answer. A short body is read to its end, so that the workload
        // does not see its connection break each time it is asked.
        resolve(response.statusCode ?? 0);
        response.on('error', () => {});
        let sizeBytes = 0;
        response.on('data', (part: Buffer) => {
          sizeBytes += part.length;
          if (sizeBytes > answerBytesMax) sent.destroy();
        });
      },
    );
    const timer = setTimeout(() => {
      reject(timeout(timeoutMs));
      sent.destroy();
    }, timeoutMs);
    sent.once('close', () => clearTimeout(timer));
    sent.on('error', (error) => reject(netErrorOf(error, 'the request failed')));
    sent.end();
  });

/** A message of one text field with number 1, behind the five bytes that gRPC puts before each. */
function checkRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const field =
    name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(field.length, 1);
  return Buffer.concat([head, field]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** The status of a HealthCheckResponse; undefined for what is none. */
function servingStatus(body: Buffer): string | undefined {
  if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5)
    return undefined;
  // An empty message is one whose only field has its default.
  const status = body.length === 5 ? 0 : body[5] === 0x08 ? body[6] : undefined;
  return status === undefined ? undefined : (servingStatuses[status] ?? `status ${status}`);
}

const grpcHealth: ProbeNet['grpcHealth'] = ({ address, service, timeoutMs }) =>
  new Promise((resolve, reject) => {
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    const session: ClientHttp2Session = connectHttp2(`http://${host}:${address.port}`);
    const timer = setTimeout(() => end(timeout(timeoutMs)), timeoutMs);
    function end(answer: NetError | string): void {
      clearTimeout(timer);
      if (typeof answer === 'string') {
        resolve(answer);
        session.close();
      } else {
        reject(answer);
        session.destroy();
      }
    }
    const fail = (error: Error): void => end(netErrorOf(error, 'the call failed'));
    session.on('error', fail);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const parts: Buffer[] = [];
    let sizeBytes = 0;
    let grpcStatus: string | undefined;
    const note = (headers: Record<string, unknown>): void => {
      const [status, message] = [headers['grpc-status'], headers['grpc-message']];
      if (typeof status !== 'string') return;
      grpcStatus = `${status} ${typeof message === 'string' ? message : ''}`;
    };
    stream.on('error', fail);
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (part: Buffer) => {
      sizeBytes += part.length;
      if (sizeBytes > answerBytesMax) end(new NetError('NET_IO', 'the answer is too long'));
      else parts.push(part);
    });
    stream.once('close', () => {
      if (grpcStatus !== undefined && !grpcStatus.startsWith('0 ')) {
        end(new NetError('NET_IO', `gRPC status ${grpcStatus.trim()}`));
        return;
      }
      const status = servingStatus(Buffer.concat(parts));
      end(status ?? new NetError('NET_IO', 'the answer is no health check'));
    });
    stream.end(checkRequest(service));
  });

export function createNodeProbeNet(): ProbeNet {
  return { httpStatus, grpcHealth };
}
