/**
 * A small HTTP service as it would run at the edge: it says who and where it is.
 *
 *   GET /         JSON with the pod, its node, its address and how long it runs
 *   GET /healthz  200 "ok"
 *
 * It listens on HOST:PORT (the pod's address, and 8080), logs one line per
 * request and ends cleanly on SIGTERM: no new connections, open requests finish.
 */
import { createServer } from 'node:http';

const host = process.env.HOST ?? '127.0.0.1';
const port = Number(process.env.PORT ?? 8080);
const drainMsMax = 5000;
const startedAtMs = Date.now();
let requestsCount = 0;

function answer(path) {
  switch (path) {
    case '/':
      return {
        status: 200,
        body: {
          service: 'edge-microservice',
          pod: process.env.POD_NAME ?? 'none',
          namespace: process.env.POD_NAMESPACE ?? 'none',
          node: process.env.NODE_NAME ?? 'none',
          address: `${host}:${port}`,
          uptimeSeconds: Math.round((Date.now() - startedAtMs) / 1000),
          requests: requestsCount,
        },
      };
    case '/healthz':
      return { status: 200, body: 'ok' };
    default:
      return { status: 404, body: { error: 'not found', paths: ['/', '/healthz'] } };
  }
}

const server = createServer((request, response) => {
  requestsCount += 1;
  const path = (request.url ?? '/').split('?', 1)[0];
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const { status, body } = isRead
    ? answer(path)
    : { status: 405, body: { error: 'only GET and HEAD are answered here' } };
  const isText = typeof body === 'string';
  response.writeHead(status, {
    'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json',
    ...(isRead ? {} : { allow: 'GET, HEAD' }),
  });
  response.end(request.method === 'HEAD' ? '' : `${isText ? body : JSON.stringify(body)}\n`);
  const from = request.socket.remoteAddress;
  console.log(`${new Date().toISOString()} ${request.method} ${path} ${status} from ${from}`);
});

server.on('error', (error) => {
  console.error(`cannot serve on ${host}:${port}: ${error.message}`);
  process.exit(1);
});

server.listen(port, host, () => {
  console.log(`edge-microservice serves on http://${host}:${port}/`);
});

process.on('SIGTERM', () => {
  console.log('SIGTERM: finishing open requests');
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  setTimeout(() => process.exit(0), drainMsMax).unref();
});
