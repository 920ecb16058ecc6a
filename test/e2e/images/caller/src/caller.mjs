// Asks, from inside a pod, what it is told to: how a name resolves, and who answers at an address.
import { lookup, resolveSrv } from 'node:dns/promises';
import { createServer } from 'node:http';

const questions = {
  lookup: async ({ name }) => await lookup(name, { all: true, family: 4 }),
  srv: async ({ name }) => await resolveSrv(name),
  fetch: async ({ url }) => {
    const response = await fetch(url, { headers: { connection: 'close' } });
    return { status: response.status, text: await response.text() };
  },
};

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://here');
  const ask = questions[pathname.slice(1)];
  const answer = ask === undefined ? Promise.resolve('ask something') : ask(Object.fromEntries(searchParams));
  answer
    .catch((error) => ({ error: error.code ?? error.cause?.code ?? error.message }))
    .then((value) => response.end(JSON.stringify(value)));
}).listen(Number(process.env.PORT ?? 8080), process.env.HOST);
